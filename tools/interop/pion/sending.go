package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"
)

const (
	early    = 20 // frames that come before produce is answered, where the numbering starts before the wrap
	interval = 20 * time.Millisecond
	muted    = 8 * time.Second
	// RTP time of a frame of sound, of a picture (every other interval), and of the mute.
	audioStep, videoStep, videoMuted = 960, 3600, 8 * 90000
)

// send publishes sound and a picture, and sends them for the time that was asked for.
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
	if c.Twist == "new_ssrc" { // a second one takes the picture over, as where an encoder starts anew
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
	if c.Twist == "wrap" {
		if err = c.sendFor(early*interval, audio, video); err != nil {
			return err
		}
	}
	if err = c.produce(ctx, t, streams[:2]); err != nil {
		return err
	}
	if video, err = c.sendWithTwist(ctx, t, streams); err != nil {
		return err
	}
	tell("done", object{"sent": object{"audio": audio.number, "video": video.number}, "asked": video.asked.Load()})
	return nil
}

// produce announces sound and picture, in this order.
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

// produceAgain closes the producers, sends on for a while, and announces the same streams again.
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

// sendWithTwist sends for half of the time, does what is unusual, and sends on; gives who sent the picture at the end.
func (c *client) sendWithTwist(ctx context.Context, t transport, streams []*outgoing) (*outgoing, error) {
	audio, video := streams[0], streams[1]
	half := time.Duration(c.Seconds / 2 * float64(time.Second))
	if err := c.sendFor(half, audio, video); err != nil {
		return nil, err
	}
	switch c.Twist {
	case "mute":
		time.Sleep(muted)
		video.timestamp += videoMuted // the sound's goes on as if nothing had been, as with many clients
	case "restart_ice":
		if err := c.restartICE(ctx, &t, streams); err != nil {
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

func (c *client) restartICE(ctx context.Context, t *transport, streams []*outgoing) error {
	var restarted struct {
		ICEParameters iceParameters `json:"iceParameters"`
	}
	if err := c.ask(ctx, "restart_ice", object{"transportId": t.TransportID}, &restarted); err != nil {
		return err
	}
	t.ICEParameters = restarted.ICEParameters
	if streams != nil {
		return c.offer(ctx, *t, streams, true)
	}
	return nil
}

// offer has Pion describe what it sends, tells the gateway, and hands Pion the gateway's answer.
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
		if !restart { // one that has taken over keeps the MID of the other
			o.mid, o.midID = mids[index], id
		}
		section := o.parameters()
		section.MID, section.HeaderExtensions = mids[index], section.HeaderExtensions[:1]
		sections = append(sections, section)
	}
	if !restart {
		err = c.ask(ctx, "connect_transport", object{"transportId": t.TransportID,
			"dtlsParameters": ourDTLS(offer.SDP, c.Role)}, nil)
		if err != nil {
			return err
		}
	}
	setup := map[string]string{"client": "passive", "server": "active"}[c.Role]
	version := 1
	if restart {
		version = 2
	}
	answer := describe(t, sections, "recvonly", setup, version)
	return c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}
