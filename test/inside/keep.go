// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"reflect"
	"time"

	"github.com/mallee-io/mallee/test/hands"
)

// The node controller's pauses between two looks without an event.
const (
	whileWaiting  = time.Second
	whileComplete = 5 * time.Second
)

// keep repairs a volume for a time, and returns how it was, each time that has
// changed.
func (n *node) keep(ctx context.Context, k hands.Keep) ([]hands.Sight, error) {
	ctx, cancel := context.WithTimeout(ctx, k.For)
	defer cancel()
	v := k.Volume.Connector()
	var sights []hands.Sight
	for {
		changed := n.connector.Changed(v.WWID)
		status, err := n.connector.Repair(ctx, v)
		if ctx.Err() != nil {
			return sights, nil
		}
		s := hands.Sight{Status: status}
		if err != nil {
			s.Err = err.Error()
		}
		if len(sights) == 0 || !reflect.DeepEqual(hands.Sight{Status: sights[len(sights)-1].Status, Err: sights[len(sights)-1].Err}, s) {
			s.At = time.Now()
			sights = append(sights, s)
		}
		pause := whileComplete
		if status.Up() < len(v.Portals) {
			pause = whileWaiting
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(pause):
		}
	}
}
