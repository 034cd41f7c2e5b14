package main

import (
	"encoding/binary"

	"github.com/pion/rtp"
)

// A frame is a list of payloads, one for each packet. Each ends with the packet's number, so that the receiver knows
// which packets arrived. The runner (tools/interop/media.py) reads and writes the same form.
type framer func(number uint32, frame uint16, key bool) [][]byte

func numbered(head []byte, number uint32) []byte {
	payload := append(make([]byte, 0, len(head)+44), head...)
	payload = append(payload, make([]byte, 40)...)
	return binary.BigEndian.AppendUint32(payload, number)
}

func opusFrame(number uint32, _ uint16, _ bool) [][]byte {
	return [][]byte{numbered([]byte{0x78}, number)}
}

// vp8Frame has the descriptor of RFC 7741 with a picture id of 15 bits, and the beginning of a frame header (RFC 6386).
func vp8Frame(number uint32, frame uint16, key bool) [][]byte {
	head := []byte{0x90, 0x80, 0x80 | byte(frame>>8), byte(frame), 0x11, 0x02, 0x00}
	if !key {
		return [][]byte{numbered(head, number)}
	}
	head[4] = 0x10
	head = append(head, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01)
	later := []byte{0x80, 0x80, 0x80 | byte(frame>>8), byte(frame)}
	return [][]byte{numbered(head, number), numbered(later, number+1)}
}

// h264Frame has, for a key frame, a STAP-A with the parameter sets and an IDR slice in two FU-As (RFC 6184).
func h264Frame(number uint32, _ uint16, key bool) [][]byte {
	if !key {
		return [][]byte{numbered([]byte{0x41, 0x9a}, number)}
	}
	stap := []byte{0x78, 0, 7, 0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40, 0, 4, 0x68, 0xce, 0x3c, 0x80}
	// The number is in an SEI message after them.
	sei := numbered([]byte{0x06, 0x05, 41}, number)
	stap = append(append(stap, 0, byte(len(sei))), sei...)
	return [][]byte{stap, numbered([]byte{0x7c, 0x85, 0x88}, number+1), numbered([]byte{0x7c, 0x45}, number+2)}
}

// isKey returns whether a packet begins a key frame.
func isKey(codec string, payload []byte) bool {
	switch codec {
	case "video/VP8":
		start := 1
		if payload[0]&0x80 != 0 && len(payload) > 4 { // extended, with a picture id
			start = 2
			if payload[1]&0x80 != 0 {
				start = 3 + int(payload[2]>>7)
			}
			if payload[1]&0x40 != 0 {
				start++
			}
			if payload[1]&0x30 != 0 {
				start++
			}
		}
		return payload[0]&0x17 == 0x10 && len(payload) > start && payload[start]&1 == 0
	case "video/H264":
		return payload[0]&31 == 24
	}
	return false
}

// tally counts the packets of a stream by their numbers.
type tally struct {
	Keys    int      `json:"keys"`
	Numbers []uint32 `json:"numbers"`
	First   bool     `json:"firstIsKey"`
}

func (t *tally) take(codec string, packet *rtp.Packet) {
	size := len(packet.Payload)
	if size < 5 { // only padding
		return
	}
	if isKey(codec, packet.Payload) {
		t.First = t.First || len(t.Numbers) == 0
		t.Keys++
	}
	t.Numbers = append(t.Numbers, binary.BigEndian.Uint32(packet.Payload[size-4:]))
}
