package main

import (
	"fmt"
	"strings"
)

// The gateway's media objects, as in docs/protocol.md.
type (
	transport struct {
		TransportID    string         `json:"transportId"`
		ICEParameters  iceParameters  `json:"iceParameters"`
		ICECandidates  []iceCandidate `json:"iceCandidates"`
		DTLSParameters dtlsParameters `json:"dtlsParameters"`
	}
	iceParameters struct {
		UsernameFragment string `json:"usernameFragment"`
		Password         string `json:"password"`
	}
	iceCandidate struct {
		Foundation string `json:"foundation"`
		Priority   uint32 `json:"priority"`
		Address    string `json:"address"`
		Port       uint16 `json:"port"`
		Protocol   string `json:"protocol"`
		Type       string `json:"type"`
		TCPType    string `json:"tcpType"`
	}
	dtlsParameters struct {
		Role         string        `json:"role,omitempty"`
		Fingerprints []fingerprint `json:"fingerprints"`
	}
	fingerprint struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"value"`
	}
	rtpParameters struct {
		MID              string            `json:"mid"`
		Codecs           []codec           `json:"codecs"`
		HeaderExtensions []headerExtension `json:"headerExtensions"`
		Encodings        []object          `json:"encodings"`
		RTCP             object            `json:"rtcp,omitempty"`
	}
	codec struct {
		MimeType     string   `json:"mimeType"`
		PayloadType  int      `json:"payloadType"`
		ClockRate    int      `json:"clockRate"`
		Channels     int      `json:"channels,omitempty"`
		Parameters   object   `json:"parameters"`
		RTCPFeedback []object `json:"rtcpFeedback"`
	}
	headerExtension struct {
		URI string `json:"uri"`
		ID  int    `json:"id"`
	}
)

// describe writes the gateway's side of a session as SDP. The direction is "recvonly" in an answer, "sendonly" in an offer.
func describe(t transport, sections []rtpParameters, direction, setup string, version int) string {
	var mids, text strings.Builder
	for _, section := range sections {
		fmt.Fprintf(&mids, " %s", section.MID)
	}
	line := func(format string, arguments ...any) { fmt.Fprintf(&text, format+"\r\n", arguments...) }
	line("v=0\r\no=- 1 %d IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE%s\r\na=ice-lite", version, &mids)
	for _, section := range sections {
		first := section.Codecs[0]
		kind, name, _ := strings.Cut(first.MimeType, "/")
		line("m=%s 9 UDP/TLS/RTP/SAVPF %d\r\nc=IN IP4 0.0.0.0", kind, first.PayloadType)
		line("a=mid:%s\r\na=%s\r\na=rtcp-mux\r\na=setup:%s", section.MID, direction, setup)
		line("a=ice-ufrag:%s\r\na=ice-pwd:%s", t.ICEParameters.UsernameFragment, t.ICEParameters.Password)
		for _, one := range t.DTLSParameters.Fingerprints {
			line("a=fingerprint:%s %s", one.Algorithm, one.Value)
		}
		rate := fmt.Sprint(first.ClockRate)
		if first.Channels > 1 {
			rate += fmt.Sprintf("/%d", first.Channels)
		}
		line("a=rtpmap:%d %s/%s", first.PayloadType, name, rate)
		if len(first.Parameters) > 0 {
			line("a=fmtp:%d %s", first.PayloadType, formatParameters(first.Parameters))
		}
		for _, feedback := range first.RTCPFeedback {
			parameter, _ := feedback["parameter"].(string)
			line("a=rtcp-fb:%d %s", first.PayloadType, strings.TrimSpace(fmt.Sprint(feedback["type"], " ", parameter)))
		}
		for _, extension := range section.HeaderExtensions {
			line("a=extmap:%d %s", extension.ID, extension.URI)
		}
		if ssrc, ok := section.Encodings[0]["ssrc"].(float64); ok && direction == "sendonly" {
			line("a=msid:gateway %s\r\na=ssrc:%d cname:%v", section.MID, uint32(ssrc), section.RTCP["cname"])
		}
		for _, candidate := range t.ICECandidates {
			tcpType := ""
			if candidate.TCPType != "" {
				tcpType = " tcptype " + candidate.TCPType
			}
			line("a=candidate:%s 1 %s %d %s %d typ %s%s", candidate.Foundation, candidate.Protocol,
				candidate.Priority, candidate.Address, candidate.Port, candidate.Type, tcpType)
		}
		line("a=end-of-candidates")
	}
	return text.String()
}

func formatParameters(parameters object) string {
	var texts []string
	for name, value := range parameters {
		texts = append(texts, fmt.Sprintf("%s=%v", name, value))
	}
	return strings.Join(texts, ";")
}

// attributes returns the values of all lines a=name:… of a description.
func attributes(description, name string) []string {
	var values []string
	for line := range strings.Lines(description) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "a="+name+":"); found {
			values = append(values, value)
		}
	}
	return values
}

// ourICE returns our own ICE credentials in our SDP, for the gateway's checks.
func ourICE(description string) iceParameters {
	return iceParameters{
		UsernameFragment: attributes(description, "ice-ufrag")[0],
		Password:         attributes(description, "ice-pwd")[0],
	}
}

// ourDTLS returns the parameters for connect_transport: the fingerprint in our SDP, and our role.
func ourDTLS(description, role string) dtlsParameters {
	algorithm, value, _ := strings.Cut(attributes(description, "fingerprint")[0], " ")
	return dtlsParameters{Role: role, Fingerprints: []fingerprint{{Algorithm: algorithm, Value: value}}}
}
