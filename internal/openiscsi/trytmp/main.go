package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/openiscsi"
)

func main() {
	in := &openiscsi.Initiator{}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	iqn := os.Args[2]
	var ps []openiscsi.Portal
	for _, a := range os.Args[3:] {
		ps = append(ps, openiscsi.Portal{Target: iqn, Addr: netip.MustParseAddrPort(a + ":3260"), TPGT: 1, Iface: openiscsi.DefaultIface})
	}
	start := time.Now()
	say := func(f string, a ...any) { fmt.Printf("%6.3f "+f+"\n", append([]any{time.Since(start).Seconds()}, a...)...) }
	op := os.Args[1]
	if strings.Contains(op, "in") {
		in.PrepareIface(ctx)
		start = time.Now()
		set := openiscsi.Settings{LoginTimeout: 10, NoopInterval: 2, NoopTimeout: 3, ReplacementTimeout: 5, CommandsMax: 512, QueueDepth: 64}
		if err := in.WriteRecords(ctx, ps, set, openiscsi.Secret{}); err != nil {
			say("%v", err)
		}
		say("records")
		stop := make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			seen := map[string]bool{}
			for {
				select {
				case <-stop:
					return
				default:
				}
				ss, _ := in.Sessions()
				for _, s := range ss {
					k := s.Portal.String() + " " + s.State
					if !seen[k] {
						seen[k] = true
						say("session %d %s", s.ID, k)
					}
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
		if strings.Contains(op, "sep") {
			var w2 sync.WaitGroup
			for _, p := range ps {
				w2.Go(func() {
					in.Login(ctx, []openiscsi.Portal{p}, func(p openiscsi.Portal, err error) { say("done %s %v", p, err) })
				})
			}
			w2.Wait()
		} else {
			in.Login(ctx, ps, func(p openiscsi.Portal, err error) { say("done %s %v", p, err) })
		}
		say("login returned")
		close(stop)
		wg.Wait()
	}
	if strings.Contains(op, "out") {
		start = time.Now()
		ss, _ := in.Sessions()
		say("%v", in.Logout(ctx, ss))
	}
}
