// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/ec2api"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/propapi"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// shutdownTimeout is how long API calls under way may take to end.
const shutdownTimeout = 5 * time.Second

func (c *Controller) serveAPI(ctx context.Context, l net.Listener, b *rpc.Bundle, o Options) error {
	registry := telemetry.NewRegistry()
	registry.MustRegister(b.Metric())
	server := newServer(c.handler(registry, o), b.Certificate, c.log)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(graceful)
	})
	if err := server.ServeTLS(limit(l, registry), "", ""); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("cannot serve the API: %w", err)
	}
	if err := <-stopped; err != nil {
		return errors.Join(fmt.Errorf("API calls were cut off: %w", err), server.Close())
	}
	return nil
}

// handler returns everything that is served over HTTPS. Bodies are bounded by
// the verifier, and by serveJoin: a machine that joins has nothing but its token.
// /metrics and /healthz take no credentials and tell no secrets: /metrics names
// partitions and counts what is in them.
func (c *Controller) handler(registry *prometheus.Registry, o Options) http.Handler {
	registry.MustRegister(newMetrics(c))
	verifier := &auth.Verifier{
		// Tools of the original sign for the names of its services.
		Services: []string{"ec2", "compute", "properties", "euprop", "bootstrap", "mallee"},
		Secret:   c.secret,
		Rate:     o.APIRate,
		Burst:    o.APIBurst,
	}
	ec2 := ec2api.NewHandler(ec2api.Options{Volumes: c, Places: c, Tags: c, Parts: c, Verifier: verifier, Log: c.log, Registry: registry})
	mux := http.NewServeMux()
	mux.Handle("/{$}", ec2)
	mux.Handle("/services/compute", ec2)
	mux.Handle("/services/compute/", ec2)
	properties := propapi.NewHandler(propapi.Options{Properties: c, Verifier: verifier, Log: c.log, Registry: registry})
	// The original's older tools look at properties at Empyrean, and end every path with a slash.
	for _, path := range []string{"/services/Properties", "/services/Properties/", "/services/Empyrean", "/services/Empyrean/"} {
		mux.Handle(path, properties)
	}
	mux.Handle("GET /metrics", telemetry.MetricsHandler(registry, store.Metrics()))
	mux.HandleFunc("GET /healthz", c.healthz)
	mux.HandleFunc("POST "+join.Path, c.serveJoin)
	(&backupDoor{controller: c, verifier: verifier, stateDir: o.StateDir, log: c.log}).mount(mux)
	mux.Handle("/", nowhere)
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mallee_http_answers_total", Help: "Answers over HTTPS by status, those to calls that no API has seen too.",
	}, []string{"code"})
	registry.MustRegister(answers)
	return promhttp.InstrumentHandlerCounter(answers, door(mux))
}

// healthz answers 200 as long as records can be read. One is enough, and whether
// it is there does not matter: etcd answers only while it has a leader.
func (c *Controller) healthz(w http.ResponseWriter, r *http.Request) {
	if _, _, err := partitions.Find(r.Context(), c.store, "healthz"); err != nil {
		http.Error(w, "the records cannot be read", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
