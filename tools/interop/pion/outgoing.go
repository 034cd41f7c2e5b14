package main

import (
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	midURI     = "urn:ietf:params:rtp-hdrext:sdes:mid"
	unknownURI = "urn:example:interop"
	unknownID  = 20     // needs the two-byte form
	twoByte    = 0x1000 // RFC 8285 section 4.3
	probeSize  = 200
)

// outgoing is a sent stream of numbered packets.
type outgoing struct {
	codec     webrtc.RTPCodecParameters
	track     *webrtc.TrackLocalStaticRTP
	sender    *webrtc.RTPSender
	frame     framer
	variation string
	mid       string
	midID     uint8
	sequence  uint16
	timestamp uint32
	frames    uint16
	number    uint32
	wanted    atomic.Bool  // whether the next frame must be a key frame
	asked     atomic.Int32 // how often a key frame was requested

	producerID string
}

func (c *client) newOutgoing(codec webrtc.RTPCodecParameters, frame framer) (*outgoing, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(codec.RTPCodecCapability, kindOf(codec), "pion")
	if err != nil {
		return nil, err
	}
	transceiver, err := c.pc.AddTransceiverFromTrack(track,
		webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, err
	}
	o := &outgoing{codec: codec, track: track, sender: transceiver.Sender(), frame: frame, variation: c.Variation}
	o.sequence, o.timestamp = uint16(rand.IntN(1<<15)), rand.Uint32()
	if first, ok := c.First[kindOf(codec)]; ok {
		o.sequence = first
	}
	o.wanted.Store(true)
	go o.readFeedback()
	return o, nil
}

func kindOf(codec webrtc.RTPCodecParameters) string {
	kind, _, _ := strings.Cut(codec.MimeType, "/")
	return kind
}

func (o *outgoing) readFeedback() {
	for {
		packets, _, err := o.sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, packet := range packets {
			switch packet.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				o.asked.Add(1)
				o.wanted.Store(true)
			}
		}
	}
}

// sendFrame writes the packets of the next frame, which is a key frame if one is wanted. The timestamp grows by step.
func (o *outgoing) sendFrame(step uint32) error {
	payloads := o.frame(o.number, o.frames, o.wanted.Swap(false))
	for index, payload := range payloads {
		padding := byte(0)
		if o.variation == "padding" {
			padding = byte(1 + o.number%15)
		}
		if err := o.write(payload, padding, index == len(payloads)-1); err != nil {
			return err
		}
		o.number++
	}
	if o.variation == "probes" { // packets of padding with the frame's timestamp, as bandwidth estimators send them
		for range 2 {
			if err := o.write(nil, probeSize, false); err != nil {
				return err
			}
		}
	}
	o.frames++
	o.timestamp += step
	return nil
}

func (o *outgoing) write(payload []byte, padding byte, last bool) error {
	header := rtp.Header{Version: 2, Marker: last && o.codec.ClockRate == 90000, SequenceNumber: o.sequence,
		Timestamp: o.timestamp, Padding: padding > 0, PaddingSize: padding}
	if o.variation == "two_byte" {
		header.Extension, header.ExtensionProfile = true, twoByte
		if err := header.SetExtension(unknownID, make([]byte, 20)); err != nil {
			return err
		}
	}
	if err := header.SetExtension(o.midID, []byte(o.mid)); err != nil {
		return err
	}
	o.sequence++
	return o.track.WriteRTP(&rtp.Packet{Header: header, Payload: payload})
}

// parameters returns the parameters for produce and for the gateway's side of the SDP.
func (o *outgoing) parameters() rtpParameters {
	fmtp, feedback := object{}, []object{}
	for pair := range strings.SplitSeq(o.codec.SDPFmtpLine, ";") {
		if name, value, found := strings.Cut(pair, "="); found {
			fmtp[name] = value
		}
	}
	for _, one := range o.codec.RTCPFeedback {
		feedback = append(feedback, object{"type": one.Type, "parameter": one.Parameter})
	}
	return rtpParameters{
		MID: o.mid,
		Codecs: []codec{{MimeType: o.codec.MimeType, PayloadType: int(o.codec.PayloadType),
			ClockRate: int(o.codec.ClockRate), Channels: int(o.codec.Channels),
			Parameters: fmtp, RTCPFeedback: feedback}},
		HeaderExtensions: []headerExtension{{midURI, int(o.midID)}, {unknownURI, unknownID}},
		Encodings:        []object{{"ssrc": uint32(o.sender.GetParameters().Encodings[0].SSRC)}},
		RTCP:             object{"cname": "pion"},
	}
}
