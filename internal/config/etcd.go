// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"net/netip"
	"net/url"
	"path/filepath"
)

// checkEtcd checks the keys of an external etcd. Records hold secrets, so that
// they go over the network with TLS only.
func (c CLC) checkEtcd() error {
	const rule = `"https://host:2379"; "http://127.0.0.1:2379" is for this machine alone`
	var errs []error
	for _, e := range c.EtcdEndpoints {
		u, err := url.Parse(e)
		if err != nil || u.Port() == "" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" ||
			u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			errs = append(errs, broken("clc.etcd_endpoints", e, rule))
		}
	}
	for _, f := range []struct{ key, value string }{
		{"clc.etcd_ca", c.EtcdCA}, {"clc.etcd_cert", c.EtcdCert}, {"clc.etcd_key", c.EtcdKey},
	} {
		switch {
		case f.value == "":
		case !filepath.IsAbs(f.value):
			errs = append(errs, broken(f.key, f.value, "the absolute path of a file"))
		case len(c.EtcdEndpoints) == 0:
			errs = append(errs, errors.New(f.key+" is given and clc.etcd_endpoints is not: the embedded etcd needs no certificates"))
		}
	}
	if (c.EtcdCert == "") != (c.EtcdKey == "") {
		errs = append(errs, errors.New("clc.etcd_cert and clc.etcd_key go together: give both or none"))
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost"
}
