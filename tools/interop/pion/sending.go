package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"
)

const (
	early    = 20 // frames to send before the answer to produce, in runs that start just before the wrap
	interval = 20 * time.Millisecond
	muted    = 8 * time.Second
	// RTP time of an audio frame, of a video frame (every other interval), and of the mute.
	audioStep, videoStep, videoMuted = 960, 3600, 8 * 90000
)

// send publishes audio and video, and sends them for the configured time.
func (c *client) send(ctx context.Context) error {
	frame := vp8Frame
	if c.Video == webrtc.MimeTypeH264 {
		frame = h264Frame
	}
	audio, err := c.newOutgoing(audioCodec(), opusFrame)
	if err != nil {
		return err
	}
	video, err := c.newOutgoing(videoCodec(c.Video), frame)
	if err != nil {
		return err
	}
	streams := []*outgoing{audio, video}
	if c.Variation == "new_ssrc" { // a second stream takes over the video, as after a restart of the encoder
		other, err := c.newOutgoing(videoCodec(c.Video), frame)
		if err != nil {
			return err
		}
		streams = append(streams, other)
	}
	var t transport
	if err = c.ask(ctx, "create_transport", object{"direction": "send"}, &t); err != nil {
		return err
	}
	if err = c.offer(ctx, t, streams, false); err != nil {
		return err
	}
	if err = c.untilConnected(); err != nil {
		return err
	}
	if c.Variation == "wrap" {
		if err = c.sendFor(early*interval, audio, video); err != nil {
			return err
		}
	}
	if err = c.produce(ctx, t, streams[:2]); err != nil {
		return err
	}
	if video, err = c.sendWithVariation(ctx, t, streams); err != nil {
		return err
	}
	tell("done", object{"sent": object{"audio": audio.number, "video": video.number}, "asked": video.asked.Load()})
	return nil
}

// produce announces audio and video, in this order.
func (c *client) produce(ctx context.Context, t transport, streams []*outgoing) error {
	sources := []string{"microphone", "camera"}
	for index, o := range streams {
		var produced struct {
			ProducerID string `json:"producerId"`
		}
		if err := c.ask(ctx, "produce", object{"transportId": t.TransportID, "kind": kindOf(o.codec),
			"source": sources[index], "rtpParameters": o.parameters()}, &produced); err != nil {
			return err
		}
		o.producerID = produced.ProducerID
	}
	return nil
}

// produceAgain closes the producers, goes on sending for a while, and announces the same streams again.
func (c *client) produceAgain(ctx context.Context, t transport, audio, video *outgoing) error {
	for _, o := range []*outgoing{audio, video} {
		if err := c.ask(ctx, "close", object{"producerId": o.producerID}, nil); err != nil {
			return err
		}
	}
	if err := c.sendFor(early*interval, audio, video); err != nil {
		return err
	}
	return c.produce(ctx, t, []*outgoing{audio, video})
}

// sendWithVariation sends half of the time, does the unusual part, and sends on. It returns the last sender of the video.
func (c *client) sendWithVariation(ctx context.Context, t transport, streams []*outgoing) (*outgoing, error) {
	audio, video := streams[0], streams[1]
	half := time.Duration(c.Seconds / 2 * float64(time.Second))
	if err := c.sendFor(half, audio, video); err != nil {
		return nil, err
	}
	switch c.Variation {
	case "mute":
		time.Sleep(muted)
		video.timestamp += videoMuted // as in many clients, the audio's clock stands still during the mute
	case "restart_ice":
		if err := c.offer(ctx, t, streams, true); err != nil {
			return nil, err
		}
	case "again":
		if err := c.produceAgain(ctx, t, audio, video); err != nil {
			return nil, err
		}
	case "new_ssrc":
		other := streams[2]
		other.mid, other.number, other.frames, other.timestamp = video.mid, video.number, video.frames, video.timestamp
		other.asked.Store(video.asked.Load())
		video = other
	}
	return video, c.sendFor(half, audio, video)
}

func (c *client) sendFor(duration time.Duration, audio, video *outgoing) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for tick := range int(duration / interval) {
		<-ticker.C
		if err := audio.sendFrame(audioStep); err != nil {
			return err
		}
		if tick%2 == 0 {
			if err := video.sendFrame(videoStep); err != nil {
				return err
			}
		}
	}
	return nil
}

// restartICE asks for new credentials of the gateway, and tells it ours if they are new already.
func (c *client) restartICE(ctx context.Context, t *transport, ours *iceParameters) error {
	var restarted struct {
		ICEParameters iceParameters `json:"iceParameters"`
	}
	request := object{"transportId": t.TransportID}
	if ours != nil {
		request["iceParameters"] = ours
	}
	if err := c.ask(ctx, "restart_ice", request, &restarted); err != nil {
		return err
	}
	t.ICEParameters = restarted.ICEParameters
	return nil
}

// offer lets Pion make an offer, tells the gateway its parameters, and gives Pion an answer for the gateway.
func (c *client) offer(ctx context.Context, t transport, streams []*outgoing, restart bool) error {
	offer, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err != nil {
		return err
	}
	if err = c.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	var id uint8
	for _, extension := range attributes(offer.SDP, "extmap") {
		var uri string
		if _, err = fmt.Sscan(extension, &id, &uri); err == nil && uri == midURI {
			break
		}
	}
	mids := attributes(offer.SDP, "mid")
	var sections []rtpParameters
	for index, o := range streams {
		if !restart { // a stream that has taken over keeps the other's MID
			o.mid, o.midID = mids[index], id
		}
		section := o.parameters()
		section.MID, section.HeaderExtensions = mids[index], section.HeaderExtensions[:1]
		sections = append(sections, section)
	}
	ours := ourICE(offer.SDP)
	if restart {
		err = c.restartICE(ctx, &t, &ours)
	} else {
		err = c.ask(ctx, "connect_transport", object{"transportId": t.TransportID,
			"dtlsParameters": ourDTLS(offer.SDP, c.Role), "iceParameters": ours}, nil)
	}
	if err != nil {
		return err
	}
	setup := map[string]string{"client": "passive", "server": "active"}[c.Role]
	version := 1
	if restart {
		version = 2
	}
	answer := describe(t, sections, "recvonly", setup, version)
	return c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}
