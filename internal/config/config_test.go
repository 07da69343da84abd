// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/lvm"
	"github.com/mallee-io/mallee/internal/sp"
)

const spSection = "[sp]\nname='sp1'\nvolume_group='vg0'\nadmin_addresses=['10.109.1.26']\ndata_addresses=['10.107.1.200','10.108.1.200']\n"

func TestDefaultsFillWhatIsNotGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "malleed.toml")
	if err := os.WriteFile(path, []byte("[nc]\npartition='PARTI00'\nclc=['clc:8774']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := NC{Partition: "PARTI00", CLC: []string{"clc:8774"}, Certs: "/etc/mallee/nc", MetricsListen: "127.0.0.1:9776"}
	if diff := cmp.Diff(want, c.NC); diff != "" {
		t.Error(diff)
	}
	if err := c.SC.Check(); err == nil || !strings.Contains(err.Error(), "sc.partition is required") {
		t.Errorf("an SC without a section got %v", err)
	}
}

func TestGoodFiles(t *testing.T) {
	for name, text := range map[string]string{
		"empty":               "",
		"storage processor":   spSection,
		"addresses and ports": strings.Replace(spSection, "'10.109.1.26'", "'10.109.1.26:9000','[2001:db8::1]'", 1),
		"labels":              "[storage.interfaces]\niface0='br0'\n'iface.1'='bond0.107'\n",
		"IPv6 portals":        strings.Replace(spSection, "'10.107.1.200'", "'[2001:db8::1]','[2001:db8:0:1::1]:3261'", 1),
		"a login":             spSection + "san_user='mallee'\nsan_password_file='/etc/mallee/san.password'\n",
		"external etcd":       "[clc]\netcd_endpoints=['https://10.0.0.1:2379','https://[2001:db8::1]:2379']\netcd_ca='/etc/mallee/etcd/ca.pem'\netcd_cert='/c'\netcd_key='/k'\n",
		"etcd on loopback":    "[clc]\netcd_endpoints=['http://localhost:2379','http://[::1]:2379']\n",
		"lifetime":            "[clc]\ncertificate_lifetime='36h'\n",
		"cloud controller":    "[log]\nlevel='debug'\nformat='text'\n[clc]\nnames=['clc.example.org','10.109.1.1']\nlisten='127.0.0.1:0'\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(text); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mallee", "malleed.toml")
	for _, section := range []string{spSection, "# more\n[nc]\npartition='PARTI00'"} {
		if err := Append(path, section); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(path)
	if err != nil || !c.Has("sp") || !c.Has("nc") || c.Has("sc") || c.SP.Name != "sp1" || c.NC.Partition != "PARTI00" {
		t.Errorf("the file holds %+v, %v", c, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"[nc]\npartition='PARTI01'\n", "[sc]\npartition='a.b'\n", "[[["} {
		if err := Append(path, section); err == nil {
			t.Errorf("%q was added", section)
		}
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("a section that was refused has changed the file: %s, %v", after, err)
	}
	if c, err := LoadIfThere(filepath.Join(t.TempDir(), "none")); err != nil || c.NC.Certs != "/etc/mallee/nc" {
		t.Errorf("without a file there is %+v, %v", c, err)
	}
}

func TestErrorsNameKeyAndValue(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"misspelt key":        {"[clc]\nlisten_on=':1'\n", "unknown key clc.listen_on"},
		"state of a node":     {"[nc]\npartition='a'\nclc=['a:1']\nstate_dir='/x'\n", "unknown key nc.state_dir"},
		"unknown section":     {"[dlc]\nx=1\n", "unknown key dlc"},
		"device":              {"[storage.interfaces]\niface0='eth 0'\n", `storage.interfaces."iface0" is "eth 0": write the name of a network device`},
		"label":               {"[storage.interfaces]\n';reboot'='eth0'\n", `storage.interfaces has the label ";reboot": write at most 64`},
		"label without end":   {"[storage.interfaces]\niface.0='eth0'\n", "storage.interfaces"},
		"relative file":       {"[storage]\neucalyptus_conf='x'\n", `storage.eucalyptus_conf is "x": write the absolute path of a file`},
		"level":               {"[log]\nlevel='loud'\n", `log.level: log level "loud"`},
		"no partition":        {"[sc]\nclc=['a:1']\n", "sc.partition is required"},
		"partition with dot":  {"[sc]\npartition='a.b'\nclc=['a:1']\n", `sc.partition is "a.b"`},
		"address w/o port":    {"[nc]\npartition='a'\nclc=['clc']\n", `nc.clc is "clc"`},
		"relative directory":  {"[clc]\nstate_dir='x'\n", `clc.state_dir is "x"`},
		"no calls":            {"[clc]\napi_rate=0.0\n", `clc.api_rate is "0"`},
		"rate that is none":   {"[clc]\napi_rate=nan\n", `clc.api_rate is "NaN"`},
		"no call at once":     {"[clc]\napi_burst=0\n", `clc.api_burst is "0"`},
		"name with port":      {"[clc]\nnames=['a:1']\n", `clc.names is "a:1"`},
		"etcd in the clear":   {"[clc]\netcd_endpoints=['http://10.0.0.1:2379']\n", `clc.etcd_endpoints is "http://10.0.0.1:2379"`},
		"etcd w/o port":       {"[clc]\netcd_endpoints=['https://10.0.0.1']\n", `clc.etcd_endpoints is "https://10.0.0.1"`},
		"etcd with a path":    {"[clc]\netcd_endpoints=['https://a:1/v3']\n", `clc.etcd_endpoints is "https://a:1/v3"`},
		"key without cert":    {"[clc]\netcd_endpoints=['https://a:1']\netcd_key='/k'\n", "clc.etcd_cert and clc.etcd_key go together"},
		"certs for no etcd":   {"[clc]\netcd_ca='/ca.pem'\n", "clc.etcd_ca is given and clc.etcd_endpoints is not"},
		"relative etcd_ca":    {"[clc]\netcd_endpoints=['https://a:1']\netcd_ca='ca.pem'\n", `clc.etcd_ca is "ca.pem"`},
		"address of the SP's": {spSection + "clc=['clc']\n", `sp.clc is "clc"`},
		"short lives":         {"[clc]\ncertificate_lifetime='59s'\n", `clc.certificate_lifetime is "59s": write 1m or more`},
		"no duration":         {"[clc]\ncertificate_lifetime='a day'\n", "a day"},
		"bad address":         {strings.Replace(spSection, "10.109.1.26", "san", 1), `sp.admin_addresses: element 1, "san"`},
		"option as a group":   {strings.Replace(spSection, "vg0", "-f", 1), `sp.volume_group is "-f": write at most 100 of letters`},
		"hidden file as pool": {spSection + "pool='.pool'\n", `sp.pool is ".pool": write at most 100 of letters`},
		"promises nothing":    {spSection + "overcommit=0.5\n", `sp.overcommit is "0.5": write a number from 1 to 1000`},
		"promises all":        {spSection + "overcommit=inf\n", `sp.overcommit is "+Inf"`},
		"never alarmed":       {spSection + "data_alarm=100\n", `sp.data_alarm is "100": write a number of percent from 1 to 99`},
		"always alarmed":      {spSection + "metadata_alarm=0\n", `sp.metadata_alarm is "0"`},
		"user w/o password":   {spSection + "san_user='x'\n", "sp.san_user and sp.san_password_file go together"},
		"user in two lines":   {spSection + "san_user=\"a\\nb\"\nsan_password_file='/x'\n", `sp.san_user is "a\nb"`},
		"relative password":   {spSection + "san_user='x'\nsan_password_file='x'\n", `sp.san_password_file is "x"`},
		"link-local portal":   {strings.Replace(spSection, "10.107.1.200", "[fe80::1%eth1]", 1), `sp.data_addresses is "[fe80::1%eth1]:3260"`},
		"name in capitals":    {strings.Replace(spSection, "'sp1'", "'SP1'", 1), `sp.name is "SP1": write lower-case letters`},
		"name with a dash":    {strings.Replace(spSection, "'sp1'", "'sp1-'", 1), `sp.name is "sp1-"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %s", err, c.want)
			}
		})
	}
}

// What is accepted here must not be refused where it is used.
func FuzzNamesAgree(f *testing.F) {
	for _, name := range []string{"", "san1", "SAN1", "san.1-a", "-f", ".x", "+x", "_x", "a b", "a/b", "é", "x\n", strings.Repeat("a", 63), strings.Repeat("a", 100), strings.Repeat("a", 101)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := lvmForm.MatchString(name), lvm.ValidName(name); got != want {
			t.Errorf("%q as a volume group: accepted %v, by LVM's package %v", name, got, want)
		}
		if spForm.MatchString(name) && !sp.DefaultTarget(name).Valid() {
			t.Errorf("%q as a storage processor makes the target %s", name, sp.DefaultTarget(name))
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("")
	f.Add(spSection)
	f.Add("[nc]\npartition='PARTI00'\nclc=['clc:8774']\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parse(text); err == nil && c.Log.Check() != nil {
			t.Errorf("accepted a file with a bad [log]: %q", text)
		}
	})
}
