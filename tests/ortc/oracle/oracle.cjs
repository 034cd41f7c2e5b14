// mediasoup's answers, one line of JSON for each line of JSON. The first line is the router's codecs.
const readline = require('node:readline');
const ortc = require('mediasoup/ortc');

let router;

const produced = (kind, parameters) => {
  ortc.validateAndNormalizeRtpParameters(parameters);
  if (parameters.encodings.length === 0) parameters.encodings = [{}];
  const mapping = ortc.getProducerRtpParametersMapping(parameters, router);
  return ortc.getConsumableRtpParameters(kind, parameters, router, mapping);
};

const validated = (capabilities) => {
  ortc.validateAndNormalizeRtpCapabilities(capabilities);
  return capabilities;
};

const isRtx = ({ mimeType }) => mimeType.toLowerCase().endsWith('/rtx');

/** Of a stream's first codec: the payload types of its retransmissions, and whether its receiver may send NACKs. */
const repair = ({ codecs }) => {
  const used = codecs.find((codec) => !isRtx(codec));
  const rtx = codecs.filter((codec) => isRtx(codec) && codec.parameters.apt === used?.payloadType);
  const nack = used?.rtcpFeedback.some(({ type, parameter }) => type === 'nack' && !parameter);
  const payloadTypes = [...new Set(rtx.map(({ payloadType }) => payloadType))];
  return { rtx: payloadTypes.sort((one, other) => one - other), nack: Boolean(nack) };
};

const questions = {
  router: ({ codecs }) => {
    router = ortc.generateRouterRtpCapabilities(codecs);
    return {};
  },
  produce: ({ kind, rtpParameters }) => {
    const { codecs } = produced(kind, rtpParameters);
    return { codec: codecs[0] ?? null, ...repair(rtpParameters) };
  },
  capabilities: ({ rtpCapabilities }) => {
    validated(rtpCapabilities);
    return {};
  },
  consume: ({ kind, rtpParameters, rtpCapabilities }) => {
    const consumableRtpParameters = produced(kind, rtpParameters);
    const remoteRtpCapabilities = validated(rtpCapabilities);
    if (!ortc.canConsume(consumableRtpParameters, remoteRtpCapabilities)) throw new Error('canConsume is false');
    const enableRtx = kind === 'video'; // as mediasoup's transports have it, where the application says nothing
    const parameters = ortc.getConsumerRtpParameters({ consumableRtpParameters, remoteRtpCapabilities, enableRtx });
    const transportCc = parameters.codecs[0].rtcpFeedback.some(({ type }) => type === 'transport-cc');
    return { codec: parameters.codecs[0], transportCc, ...repair(parameters) };
  },
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { question, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = { accepted: true, ...questions[question](given) };
  } catch (error) {
    answer = { accepted: false, why: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
