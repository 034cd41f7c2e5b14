// Command pion is a participant on Pion. Its one argument is JSON: see settings and docs/interop.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

const (
	patience = 20 * time.Second
	longest  = 2 * time.Minute
)

type settings struct {
	URL       string  `json:"url"`
	Channel   string  `json:"channel"`
	User      string  `json:"user"`
	Direction string  `json:"direction"` // send or receive
	Role      string  `json:"role"`      // our role in DTLS: client or server
	Video     string  `json:"video"`     // video/VP8 or video/H264
	Variation string  `json:"variation"` // the unusual part of this run, if any
	Seconds   float64 `json:"seconds"`   // of media

	First map[string]uint16 `json:"first"` // first sequence numbers of audio and video, or null for random ones
}

// client is a participant in a channel.
type client struct {
	settings
	*signalling
	pc        *webrtc.PeerConnection
	connected chan struct{}
	joined    struct {
		Participants []struct {
			Username  string   `json:"username"`
			Producers []object `json:"producers"`
		} `json:"participants"`
		Capabilities struct {
			Codecs           []object `json:"codecs"`
			HeaderExtensions []object `json:"headerExtensions"`
		} `json:"routerRtpCapabilities"`
	}
}

func tell(event string, data object) {
	data["event"] = event
	text, _ := json.Marshal(data)
	fmt.Println(string(text))
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pion SETTINGS")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(text string) error {
	c := client{connected: make(chan struct{})}
	if err := json.Unmarshal([]byte(text), &c.settings); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	var err error
	if c.signalling, err = dial(ctx, c.URL); err != nil {
		return err
	}
	if err = c.ask(ctx, "join", object{"channelId": c.Channel, "username": c.User}, &c.joined); err != nil {
		return err
	}
	if c.pc, err = newPeerConnection(c.settings); err != nil {
		return err
	}
	var once sync.Once // it connects a second time after a restart
	c.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		tell("state", object{"state": state.String()})
		if state == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(c.connected) })
		}
	})
	if c.Direction == "send" {
		err = c.send(ctx)
	} else {
		err = c.receive(ctx)
	}
	if err != nil {
		return err
	}
	waitForEndOfInput()
	if err = c.ask(ctx, "leave", object{}, nil); err != nil {
		return err
	}
	if err = c.pc.Close(); err != nil {
		return err
	}
	return c.socket.Close(1000, "")
}

// waitForEndOfInput waits for the end of standard input, which asks this program to leave.
func waitForEndOfInput() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
	}
}

func (c *client) untilConnected() error {
	select {
	case <-c.connected:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("ICE and DTLS did not connect: the state is %s", c.pc.ConnectionState())
	}
}

func videoCodec(mimeType string) webrtc.RTPCodecParameters {
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	if mimeType == webrtc.MimeTypeH264 {
		fmtp := "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
		return webrtc.RTPCodecParameters{PayloadType: 105, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: mimeType, ClockRate: 90000, SDPFmtpLine: fmtp, RTCPFeedback: feedback}}
	}
	return webrtc.RTPCodecParameters{PayloadType: 96, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: mimeType, ClockRate: 90000, RTCPFeedback: feedback}}
}

func audioCodec() webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}}
}

// newPeerConnection makes one with Opus, one video codec, the MID extension, Pion's usual interceptors, and loopback.
func newPeerConnection(s settings) (*webrtc.PeerConnection, error) {
	media := &webrtc.MediaEngine{}
	if err := media.RegisterCodec(audioCodec(), webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	if err := media.RegisterCodec(videoCodec(s.Video), webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if err := media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: midURI}, kind); err != nil {
			return nil, err
		}
	}
	interceptors := &interceptor.Registry{} // they handle NACKs and write reports
	if err := webrtc.ConfigureNack(media, interceptors); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureRTCPReports(interceptors); err != nil {
		return nil, err
	}
	engine := webrtc.SettingEngine{}
	engine.SetIncludeLoopbackCandidate(true)
	if s.Variation == "tcp" { // Pion opens the connections, as the gateway is passive (RFC 6544)
		engine.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	}
	role := map[string]webrtc.DTLSRole{"client": webrtc.DTLSRoleClient, "server": webrtc.DTLSRoleServer}[s.Role]
	if err := engine.SetAnsweringDTLSRole(role); err != nil {
		return nil, err
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(interceptors),
		webrtc.WithSettingEngine(engine))
	return api.NewPeerConnection(webrtc.Configuration{})
}
