package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

type consumed struct {
	ConsumerID    string        `json:"consumerId"`
	Kind          string        `json:"kind"`
	RTPParameters rtpParameters `json:"rtpParameters"`
}

// receive consumes the producers of the participant "talker" until they are closed, and reports what arrived.
func (c *client) receive(ctx context.Context) error {
	tallies := map[string]*tally{"audio": {}, "video": {}}
	var lock sync.Mutex
	c.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			lock.Lock()
			tallies[track.Kind().String()].take(track.Codec().MimeType, packet)
			lock.Unlock()
		}
	})
	var t transport
	capabilities := c.capabilities()
	if err := c.ask(ctx, "create_transport", object{"direction": "receive", "rtpCapabilities": capabilities}, &t); err != nil {
		return err
	}
	streams, err := c.consumeAll(ctx, t)
	if err != nil {
		return err
	}
	if err = c.answer(ctx, t, streams, 1); err != nil {
		return err
	}
	if err = c.untilConnected(); err != nil {
		return err
	}
	for _, stream := range streams {
		if err = c.ask(ctx, "resume", object{"consumerId": stream.ConsumerID}, nil); err != nil {
			return err
		}
	}
	tell("receiving", object{})
	time.Sleep(time.Duration(c.Seconds / 2 * float64(time.Second)))
	if err = c.askKeyFrame(streams); err != nil {
		return err
	}
	if c.Variation == "restart_ice" {
		time.Sleep(time.Second / 2) // so that the key frame does not fall into the gap
		if err = c.restartICE(ctx, &t, nil); err == nil {
			err = c.answer(ctx, t, streams, 2)
		}
		if err != nil {
			return err
		}
	}
	if err = c.untilClosed(streams); err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	tell("done", object{"received": tallies})
	return nil
}

// capabilities returns the router's capabilities for the codecs of this run.
func (c *client) capabilities() object {
	router := c.joined.Capabilities
	codecs := slices.DeleteFunc(slices.Clone(router.Codecs), func(codec object) bool {
		mimeType, _ := codec["mimeType"].(string)
		return !strings.EqualFold(mimeType, c.Video) && !strings.EqualFold(mimeType, webrtc.MimeTypeOpus)
	})
	extensions := slices.DeleteFunc(slices.Clone(router.HeaderExtensions), func(extension object) bool {
		return extension["uri"] != midURI
	})
	return object{"codecs": codecs, "headerExtensions": extensions}
}

func (c *client) consumeAll(ctx context.Context, t transport) ([]consumed, error) {
	var streams []consumed
	for _, participant := range c.joined.Participants {
		if participant.Username != "talker" {
			continue
		}
		for _, producer := range participant.Producers {
			var one consumed
			request := object{"transportId": t.TransportID, "producerId": producer["producerId"]}
			if err := c.ask(ctx, "consume", request, &one); err != nil {
				return nil, err
			}
			streams = append(streams, one)
		}
	}
	if len(streams) == 0 {
		return nil, errors.New("there is nothing to receive")
	}
	return streams, nil
}

// answer gives Pion an offer for the gateway. The first time it sends Pion's answer to the gateway.
func (c *client) answer(ctx context.Context, t transport, streams []consumed, version int) error {
	var sections []rtpParameters
	for _, stream := range streams {
		sections = append(sections, stream.RTPParameters)
	}
	offer := describe(t, sections, "sendonly", "actpass", version)
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return err
	}
	answer, err := c.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	request := object{"transportId": t.TransportID, "iceParameters": ourICE(answer.SDP)}
	if version == 1 {
		request["dtlsParameters"] = ourDTLS(answer.SDP, c.Role)
		if err = c.ask(ctx, "connect_transport", request, nil); err != nil {
			return err
		}
		return c.pc.SetLocalDescription(answer)
	}
	if err = c.pc.SetLocalDescription(answer); err != nil {
		return err
	}
	return c.ask(ctx, "set_ice_parameters", request, nil) // an answerer's credentials follow those of the gateway
}

// askKeyFrame sends a PLI for the video.
func (c *client) askKeyFrame(streams []consumed) error {
	var requests []rtcp.Packet
	for _, stream := range streams {
		if ssrc, ok := stream.RTPParameters.Encodings[0]["ssrc"].(float64); ok && stream.Kind == "video" {
			requests = append(requests, &rtcp.PictureLossIndication{MediaSSRC: uint32(ssrc)})
		}
	}
	return c.pc.WriteRTCP(requests)
}

// untilClosed waits until the gateway has reported each consumer as closed.
func (c *client) untilClosed(streams []consumed) error {
	deadline := time.After(patience + time.Duration(c.Seconds*float64(time.Second)))
	for open := len(streams); open > 0; {
		select {
		case event, ok := <-c.events:
			if !ok {
				return errors.New("the WebSocket ended")
			}
			if event.Type == "consumer_closed" {
				open--
			}
		case <-deadline:
			return fmt.Errorf("%d consumers were never closed", open)
		}
	}
	return nil
}
