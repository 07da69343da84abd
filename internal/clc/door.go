// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"path"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// newServer returns the HTTPS server. A caller who is slow is cut off, and one
// who sends much finds little room: until a call is verified, all that a
// connection can make us keep is its headers and what these buffers hold.
// Certificate is asked at each connection, since it is renewed.
func newServer(h http.Handler, certificate func() *tls.Certificate, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h,
		TLSConfig: &tls.Config{
			MinVersion:     tls.VersionTLS12, // the AWS CLI on older systems has no 1.3
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(), nil },
		},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          32,
			MaxReceiveBufferPerConnection: 128 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
			WriteByteTimeout:              30 * time.Second,
		},
		DisableGeneralOptionsHandler: true, // "OPTIONS *" gets an answer like any other
		// What strangers send wrong is theirs to know, and would fill the log.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// nowhere answers calls to a path that nothing is served at.
var nowhere = query.Faultf("NotFound", "Nothing is served at this path: the EC2 API is at / and /services/compute, the Properties API at /services/Properties")

// door gives each call its request id, also those that fail before anybody reads
// them, and lets through the plain spelling of a path only. ServeMux would send
// callers of any other to that one, who then sign and send it again or, worse,
// take the redirect's page for an answer.
func door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := mallee.NewRequestID()
		w.Header().Set("X-Amzn-Requestid", string(id))
		r = r.WithContext(telemetry.WithRequestID(r.Context(), id))
		if r.URL.RawPath != "" || !plain(r.URL.Path) {
			nowhere.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plain reports whether a path is spelt as it is served, but for a slash at the end.
func plain(p string) bool {
	clean := path.Clean(p)
	return p == clean || clean != "/" && p == clean+"/"
}
