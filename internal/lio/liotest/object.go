// SPDX-License-Identifier: Apache-2.0

package liotest

import (
	"net/netip"
	"path"
)

type kind int

const (
	plain kind = iota
	backstore
	tpgLUN
	acl
	mappedLUN
)

// object is what appears when a directory is made.
type object struct {
	kind       kind
	dirs       []string
	attributes map[string]string
}

// objects are the directories that can be made, by the pattern of their path.
var objects = []struct {
	pattern string
	object
}{
	{"core/iblock_[0-9]*", object{attributes: map[string]string{"hba_info": ""}}},
	{"core/iblock_[0-9]*/*", object{kind: backstore, dirs: []string{"wwn", "attrib"}, attributes: map[string]string{
		"enable": "0", "control": "", "info": "", "attrib/emulate_tpu": "0",
		"wwn/vendor_id": "LIO-ORG", "wwn/product_id": "IBLOCK", "wwn/vpd_unit_serial": "T10 VPD Unit Serial Number: ",
	}}},
	{"iscsi", object{attributes: map[string]string{"lio_version": ""}}},
	{"iscsi/iqn.*", object{}},
	{"iscsi/iqn.*/tpgt_[0-9]*", object{dirs: []string{"attrib", "np", "lun", "acls"}, attributes: map[string]string{
		"enable": "0", "attrib/authentication": "0", "attrib/generate_node_acls": "0", "attrib/cache_dynamic_acls": "0",
		"attrib/demo_mode_discovery": "1", "attrib/default_cmdsn_depth": "64",
	}}},
	{"iscsi/iqn.*/tpgt_[0-9]*/np/*", object{attributes: map[string]string{"iser": "0"}}},
	{"iscsi/iqn.*/tpgt_[0-9]*/lun/lun_[0-9]*", object{kind: tpgLUN, dirs: []string{"statistics"}}},
	{"iscsi/iqn.*/tpgt_[0-9]*/acls/*", object{kind: acl, dirs: []string{"attrib", "auth"}, attributes: map[string]string{
		"cmdsn_depth": "", "info": "", "auth/userid": "", "auth/password": "",
	}}},
	{"iscsi/iqn.*/tpgt_[0-9]*/acls/*/lun_[0-9]*", object{kind: mappedLUN, dirs: []string{"statistics"}, attributes: map[string]string{"write_protect": "0"}}},
}

func newObject(name string) (object, bool) {
	for _, o := range objects {
		if matched, _ := path.Match(o.pattern, name); !matched {
			continue
		}
		if path.Base(path.Dir(name)) == "np" {
			_, err := netip.ParseAddrPort(path.Base(name))
			return o.object, err == nil
		}
		return o.object, true
	}
	return object{}, false
}
