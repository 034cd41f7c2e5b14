package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	answerWithin   = 10 * time.Second
	largestMessage = 1 << 20
)

type object = map[string]any

// signalling speaks the protocol: requests with their answers, and events.
type signalling struct {
	socket  *websocket.Conn
	lock    sync.Mutex
	nextID  int
	waiting map[int]chan message
	events  chan message
}

type message struct {
	ID   *int            `json:"id"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// dial connects to the gateway's WebSocket.
func dial(ctx context.Context, url string) (*signalling, error) {
	socket, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"trio-sfu.v1"}})
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(largestMessage)
	s := &signalling{socket: socket, waiting: map[int]chan message{}, events: make(chan message, 1000)}
	go s.read(ctx)
	return s, nil
}

func (s *signalling) read(ctx context.Context) {
	defer close(s.events)
	for {
		_, text, err := s.socket.Read(ctx)
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			return
		}
		if m.ID == nil {
			if m.Type == "transport_state" {
				var changed struct{ State string }
				_ = json.Unmarshal(m.Data, &changed)
				tell("state", object{"state": "reported as " + changed.State})
			}
			select {
			case s.events <- m:
			default: // full: nobody needs so many events
			}
			continue
		}
		s.lock.Lock()
		answer := s.waiting[*m.ID]
		delete(s.waiting, *m.ID)
		s.lock.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// ask sends a request and reads the data of its answer into result, which may be nil.
func (s *signalling) ask(ctx context.Context, kind string, data object, result any) error {
	answer := make(chan message, 1)
	s.lock.Lock()
	s.nextID++
	id := s.nextID
	s.waiting[id] = answer
	s.lock.Unlock()
	text, err := json.Marshal(object{"id": id, "type": kind, "data": data})
	if err != nil {
		return err
	}
	if err := s.socket.Write(ctx, websocket.MessageText, text); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	select {
	case m := <-answer:
		if m.Type != "ok" {
			return fmt.Errorf("%s: %s", kind, m.Data)
		}
		if result != nil {
			return json.Unmarshal(m.Data, result)
		}
		return nil
	case <-time.After(answerWithin):
		return fmt.Errorf("%s: no answer", kind)
	case <-ctx.Done():
		return ctx.Err()
	}
}
