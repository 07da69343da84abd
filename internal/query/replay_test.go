// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
)

// signed is a request that is good for a minute, by a caller of its own.
func signed(signature string) auth.Proof {
	return auth.Proof{AccessKey: "AKML" + signature, Signature: signature, Expires: time.Now().Add(time.Minute)}
}

// counted returns an action that answers with the number of its call.
func counted(status int, size int) (do func() answer, calls *int) {
	calls = new(int)
	return func() answer {
		*calls++
		return answer{id: mallee.RequestID(fmt.Sprint(*calls)), status: status, body: make([]byte, size)}
	}, calls
}

// mustOnce sends a request that is answered.
func mustOnce(t *testing.T, r *replays, proof auth.Proof, do func() answer) {
	t.Helper()
	if _, _, err := r.once(t.Context(), proof, do); err != nil {
		t.Error(err)
	}
}

func TestTheSameRequestIsCarriedOutOnce(t *testing.T) {
	for name, c := range map[string]struct {
		status, want int // times that it is carried out when it comes three times
	}{
		"success":        {http.StatusOK, 1},
		"dry run":        {http.StatusPreconditionFailed, 1},
		"fault":          {http.StatusBadRequest, 1},
		"fault of ours":  {http.StatusInternalServerError, 3},
		"not now, later": {http.StatusServiceUnavailable, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplays()
			do, calls := counted(c.status, 1)
			proof := signed("s")
			for i := range 3 {
				a, replayed, err := r.once(t.Context(), proof, do)
				if err != nil || replayed != (c.want == 1 && i > 0) || a.status != c.status || len(a.body) != 1 {
					t.Errorf("call %d is answered %+v, replayed: %t, error %v", i+1, a, replayed, err)
				}
			}
			if *calls != c.want {
				t.Errorf("it was carried out %d times, want %d", *calls, c.want)
			}
			if _, replayed, _ := r.once(t.Context(), signed("another"), do); replayed {
				t.Error("another request got the answer of the first")
			}
		})
	}
}

func TestADuplicateWaitsForTheFirst(t *testing.T) {
	for name, status := range map[string]int{"that succeeds": http.StatusOK, "that fails, and tries itself": http.StatusServiceUnavailable} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReplays()
				calls, under := 0, 0
				proof := signed("s")
				answered := make(chan answer, 5)
				for range cap(answered) {
					go func() {
						a, _, err := r.once(t.Context(), proof, func() answer {
							calls++
							if under++; under > 1 {
								t.Error("it is carried out twice at a time")
							}
							time.Sleep(time.Second)
							under--
							if calls == 1 {
								return answer{status: status}
							}
							return answer{status: http.StatusOK}
						})
						if err != nil {
							t.Error(err)
						}
						answered <- a
					}()
				}
				succeeded := 0
				for range cap(answered) {
					if a := <-answered; a.status == http.StatusOK {
						succeeded++
					}
				}
				if want := map[int][2]int{http.StatusOK: {1, 5}, http.StatusServiceUnavailable: {2, 4}}[status]; calls != want[0] || succeeded != want[1] {
					t.Errorf("it was carried out %d times and succeeded for %d, want %v", calls, succeeded, want)
				}
			})
		})
	}
}

func TestADuplicateThatGivesUpIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplays()
		proof, release := signed("s"), make(chan struct{})
		go mustOnce(t, r, proof, func() answer { <-release; return answer{} })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := r.once(ctx, proof, func() answer { t.Error("it was carried out twice"); return answer{} }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(release)
		synctest.Wait()
	})
}

func TestRequestsAreForgottenOnlyWhenTheyHaveExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplays()
		do, calls := counted(http.StatusOK, 1000)
		long, short := signed("long"), signed("short")
		long.Expires = time.Now().Add(time.Hour)
		mustOnce(t, r, long, do)
		mustOnce(t, r, short, do)
		time.Sleep(time.Minute + grace)
		mustOnce(t, r, short, do)
		if *calls != 2 {
			t.Errorf("a request that may still be on its way was carried out again")
		}
		time.Sleep(sweepInterval)
		mustOnce(t, r, long, do)
		if *calls != 2 || len(r.seen) != 1 || r.bytes != 1000 || r.answers.Len() != 1 {
			t.Errorf("of two requests, of which one has expired, %d are remembered, with %d bytes in %d answers", len(r.seen), r.bytes, r.answers.Len())
		}
	})
}

func TestWhenAnswersAreTooManyTheOldestGoButNotTheirRequests(t *testing.T) {
	r := newReplays()
	do, calls := counted(http.StatusOK, maxAnswers/4)
	for i := range 5 {
		mustOnce(t, r, signed(fmt.Sprint(i)), do)
	}
	_, _, err := r.once(t.Context(), signed("0"), do)
	if f, ok := errors.AsType[*Fault](err); !ok || f.Code != "Unavailable" {
		t.Errorf("a request whose answer is forgotten gets %v", err)
	}
	if a, replayed, err := r.once(t.Context(), signed("1"), do); !replayed || err != nil || len(a.body) != maxAnswers/4 {
		t.Errorf("a request whose answer is kept is replayed: %t, %v", replayed, err)
	}
	if *calls != 5 || r.bytes > maxAnswers {
		t.Errorf("%d calls were carried out and %d bytes are kept", *calls, r.bytes)
	}
}

func TestWhenRequestsAreTooManyNoneIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplays()
		do, calls := counted(http.StatusOK, 0)
		for i := range maxSignatures {
			mustOnce(t, r, signed(fmt.Sprint(i)), do)
		}
		_, _, err := r.once(t.Context(), signed("more"), do)
		if f, ok := errors.AsType[*Fault](err); !ok || f.Code != "RequestLimitExceeded" || *calls != maxSignatures {
			t.Errorf("after %d requests, %d of them carried out, one more gets %v", maxSignatures, *calls, err)
		}
		if _, replayed, err := r.once(t.Context(), signed("0"), do); !replayed || err != nil {
			t.Errorf("the first of them is replayed: %t, %v", replayed, err)
		}
		time.Sleep(time.Minute + grace + sweepInterval)
		if _, _, err := r.once(t.Context(), signed("later"), do); err != nil {
			t.Errorf("when they have expired, one gets %v", err)
		}
	})
}

// Attach, detach, attach: the third is signed as the first within one second.
func TestAnAnswerIsGoodUntilItsCallerChangesSomethingElse(t *testing.T) {
	r := newReplays()
	do, calls := counted(http.StatusOK, 1)
	refuse, _ := counted(http.StatusBadRequest, 1)
	first, refused, other := signed("first"), signed("refused"), signed("other")
	refused.AccessKey, other.AccessKey = first.AccessKey, first.AccessKey
	mustOnce(t, r, first, do)
	mustOnce(t, r, refused, refuse)
	mustOnce(t, r, signed("stranger"), do)
	if _, replayed, err := r.once(t.Context(), first, do); !replayed || err != nil {
		t.Errorf("what changed nothing, or was another's, took the answer away: %v", err)
	}
	mustOnce(t, r, other, do)
	_, _, err := r.once(t.Context(), first, do)
	if f, ok := errors.AsType[*Fault](err); !ok || f.status() != http.StatusServiceUnavailable {
		t.Errorf("got %v, want a fault after which callers sign anew", err)
	}
	if *calls != 3 {
		t.Errorf("%d requests were carried out, want 3", *calls)
	}
}
