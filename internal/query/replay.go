// SPDX-License-Identifier: Apache-2.0

package query

import (
	"container/list"
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/auth"
)

const (
	// maxSignatures bounds the requests that are remembered, some 200 bytes each.
	// One key at a hundred calls a second has 90,000 in the fifteen minutes for
	// which a signature is good.
	maxSignatures = 1 << 17
	maxAnswers    = 16 << 20 // bytes of the answers that are remembered
	sweepInterval = time.Minute
	// grace is how long a request is remembered after its signature has expired:
	// longer than it can take from the check of its date to that of its signature.
	grace = 2 * time.Minute
)

// replays remembers requests that have changed something, by their signature and
// for as long as that is good, so that one that is sent again changes nothing
// more: by somebody who has captured it, or by an SDK, which signs alike when it
// tries again within the same second. The second gets the answer to the first,
// and waits for it while that is being carried out.
//
// An answer that is the caller's fault is remembered like a success: a detach
// that was refused must not be carried out by somebody else a minute later. A
// fault of ours (5xx) is not, since callers are meant to try again.
//
// An answer is good for as long as its caller has changed nothing else since:
// attach, detach and attach again within one second are three calls of which two
// are signed alike, and the first one's answer would be a lie to the third. That
// gets a 503, on which SDKs sign anew and try again; who only has a captured
// request cannot.
//
// When there are maxSignatures, further requests that change something are
// refused: to forget one would be to let it be sent again. When the answers are
// over maxAnswers, the oldest are forgotten but not their requests, which then
// get that 503 too. A restart forgets everything.
type replays struct {
	now func() time.Time

	mu      sync.Mutex
	seen    map[string]*seen
	changes map[string]uint64 // by access key: how much it has changed
	answers list.List         // of the *seen whose answer is kept, the oldest first
	bytes   int               // of these answers
	swept   time.Time
}

// seen is one request.
type seen struct {
	expires time.Time
	key     string        // access key
	changes uint64        // of the key when this one had ended
	done    chan struct{} // closed when answer is there, or is known not to come
	answer  answer
	kept    *list.Element // in replays.answers; nil when the answer is not kept
}

func newReplays() *replays {
	return &replays{now: time.Now, seen: map[string]*seen{}, changes: map[string]uint64{}}
}

// once returns what do returns, or what it has returned for the same request.
func (r *replays) once(ctx context.Context, proof auth.Proof, do func() answer) (a answer, replayed bool, err error) {
	for {
		s, first := r.begin(proof)
		if s == nil {
			return answer{}, false, Faultf("RequestLimitExceeded", "Request limit exceeded. Too many calls were made within the last minutes")
		}
		if first {
			a = do()
			r.end(proof.Signature, s, a)
			return a, false, nil
		}
		select {
		case <-s.done:
		case <-ctx.Done():
			return answer{}, true, ctx.Err()
		}
		if a, ended, err := r.answerTo(proof.Signature, s); ended {
			return a, true, err
		}
		// The first was a fault of ours, and this one is the next try.
	}
}

// begin returns the record of a request and whether it was made just now; none
// when there is no room.
func (r *replays) begin(proof auth.Proof) (s *seen, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Sub(r.swept) >= sweepInterval {
		r.swept = now
		maps.DeleteFunc(r.seen, func(_ string, s *seen) bool {
			if s.expires.Add(grace).Before(now) && s.ended() {
				r.forget(s)
				return true
			}
			return false
		})
	}
	if s, known := r.seen[proof.Signature]; known {
		return s, false
	}
	if len(r.seen) >= maxSignatures {
		return nil, false
	}
	s = &seen{expires: proof.Expires, key: proof.AccessKey, done: make(chan struct{})}
	r.seen[proof.Signature] = s
	return s, true
}

func (s *seen) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// end keeps the answer to a request and lets those go on that wait for it.
func (r *replays) end(signature string, s *seen, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(s.done)
	if a.status >= http.StatusInternalServerError {
		delete(r.seen, signature)
		return
	}
	if a.status < http.StatusBadRequest {
		r.changes[s.key]++
	}
	s.changes = r.changes[s.key]
	s.answer, s.kept = a, r.answers.PushBack(s)
	r.bytes += len(a.body)
	for r.bytes > maxAnswers {
		r.forget(r.answers.Front().Value.(*seen))
	}
}

// forget drops the answer to a request.
func (r *replays) forget(s *seen) {
	if s.kept == nil {
		return
	}
	r.answers.Remove(s.kept)
	r.bytes -= len(s.answer.body)
	s.kept, s.answer.body = nil, nil
}

// answerTo returns the answer to a request that has ended, unless that was a
// fault of ours.
func (r *replays) answerTo(signature string, s *seen) (a answer, ended bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.seen[signature] != s:
		return answer{}, false, nil
	case s.kept == nil || s.changes != r.changes[s.key]:
		return answer{}, true, Faultf("Unavailable", "A request with the same signature was answered before, as %s. Sign it again to have it carried out again", s.answer.id)
	}
	return s.answer, true, nil
}
