// SPDX-License-Identifier: Apache-2.0

package site

import (
	"context"
	"time"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// checksAtOnce bounds how many checks are worked on side by side.
const checksAtOnce = 4

// Bounds of one check: for its names, for the whole of it, and for its answer.
const (
	namesTimeout  = 3 * time.Second
	checkTimeout  = 5 * time.Second
	answerTimeout = 5 * time.Second
)

// Check sees that each check is answered to client once, and returns at once. The
// checks are all that the client's cloud controller now asks for; one whose answer
// could not be told is made again when it is asked for again. Ctx ends with the
// client. Wait waits until what was begun has ended.
func (s *Site) Check(ctx context.Context, client cloudv1.CloudClient, checks []*cloudv1.PathCheck, advertised []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.asked
	if s.client != client {
		// Another cloud controller, or the same one anew: what it asks has not
		// been answered to it.
		s.client, before = client, nil
	}
	s.asked = map[string]bool{}
	for _, check := range checks {
		id := check.GetId()
		if !before[id] && !s.asked[id] {
			s.running.Go(func() {
				if err := s.answer(ctx, client, check, advertised); err != nil {
					s.forget(client, id)
					if ctx.Err() == nil {
						s.options.Log.WarnContext(ctx, "cannot answer a path check", "check", id, "error", err)
					}
				}
			})
		}
		s.asked[id] = true
	}
}

// Wait waits until no check runs. Nobody calls Check meanwhile or later.
func (s *Site) Wait() { s.running.Wait() }

func (s *Site) forget(client cloudv1.CloudClient, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == client {
		delete(s.asked, id)
	}
}

func (s *Site) answer(ctx context.Context, client cloudv1.CloudClient, check *cloudv1.PathCheck, advertised []string) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	answer := s.check(ctx, check, advertised)
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err := client.AnswerPathCheck(ctx, answer)
	return err
}

// check tells what the list of a check means on this machine.
func (s *Site) check(ctx context.Context, check *cloudv1.PathCheck, advertised []string) *cloudv1.PathCheckAnswer {
	answer := &cloudv1.PathCheckAnswer{Id: check.GetId()}
	paths, portals, err := Parse(check.GetPaths(), advertised)
	if err != nil {
		answer.Error = err.Error()
		return answer
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	naming, cancelNaming := context.WithTimeout(ctx, namesTimeout)
	resolution := s.options.Resolver.ResolveNow(naming, paths, portals)
	cancelNaming()
	answer.Warnings = resolution.Warnings
	answer.Reach = s.reach(ctx, resolution.Paths, check.GetProbe())
	return answer
}
