// SPDX-License-Identifier: Apache-2.0

//go:build lab

package sp_test

import (
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/sp"
)

// chap tells who gets in: nobody without the secret that was told last.
func (r *labRun) chap() {
	// Who has no export is not even told that there is a target.
	if err := r.login("san1", secret); err == nil {
		r.Error("an initiator without an export logged in")
	}
	v := r.volume(r.initiator)
	defer func() {
		r.must(r.client.Unexport(r.ctx, v.ID, r.initiator, 0))
		r.must(r.client.DeleteVolume(r.ctx, v.ID))
	}()
	wrong := secret
	wrong.Password += "?"
	for what, c := range map[string]mallee.CHAP{"no secret": {}, "a wrong one": wrong} {
		err := r.login("san1", c)
		r.Logf("with %s: %v", what, err)
		if err == nil {
			r.Errorf("a login with %s was let in", what)
			r.logout()
		}
	}
	r.must(r.login("san1", secret))
	sessions := r.run(r.nc1, "iscsiadm", "-m", "session")

	// A new secret ends no session, and is asked for by the next login.
	_, err := r.client.Export(r.ctx, v.ID, r.initiator, wrong, nil)
	r.must(err)
	r.run(r.nc1, "dd", "if="+r.device(v), "of=/dev/null", "bs=4k", "count=1", "iflag=direct")
	if now := r.run(r.nc1, "iscsiadm", "-m", "session"); now != sessions {
		r.Errorf("sessions after the secret changed:\n%s\nbefore:\n%s", now, sessions)
	}
	r.logout()
	if err := r.login("san1", secret); err == nil {
		r.Error("a login with the old secret was let in")
	}
	r.must(r.login("san1", wrong))
	r.logout()

	log, err := r.processor.Log(r.ctx)
	r.must(err)
	seen := log + r.run(r.san, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; dmesg")
	if strings.Contains(seen, secret.Password) {
		r.Error("the secret stands in the log, in argv or in the kernel's messages")
	}
	for _, file := range []string{"/var/lib/mallee/sp/exports.json", "/sys/kernel/config/target/iscsi/" + string(sp.DefaultTarget("san1")) + "/tpgt_1/acls/" + string(r.initiator) + "/auth/password"} {
		if _, err := r.san.Run(r.ctx, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", file); err == nil {
			r.Errorf("%s can be read by anybody", file)
		}
	}
}
