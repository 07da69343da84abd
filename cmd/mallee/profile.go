// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// profile is what the tool takes from a profile.
type profile struct {
	endpoint, region, caFile string
	accessKey, secretKey     string
	// needs tells what the profile's keys come from, when they are not in it.
	needs error
}

// loadProfile reads the profile that option or environment name. Only one that is
// named must exist.
func (t *tool) loadProfile() (profile, error) {
	named := cmp.Or(t.connection.profile, t.getenv("AWS_PROFILE"), t.getenv("AWS_DEFAULT_PROFILE"))
	files := []string{t.awsFile("AWS_CONFIG_FILE", "config"), t.awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials")}
	p, err := config.LoadSharedConfigProfile(context.Background(), cmp.Or(named, "default"), func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = files[:1], files[1:]
	})
	if _, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		if named == "" {
			return profile{}, nil
		}
		return profile{}, fmt.Errorf("there is no profile %q in %s", named, strings.Join(files, " or "))
	}
	if err != nil {
		// The library tells of some faults in several lines.
		return profile{}, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	return profileOf(p), nil
}

// awsFile returns where a file of profiles is; "" when nothing says.
func (t *tool) awsFile(variable, name string) string {
	file, home := t.getenv(variable), t.getenv("HOME")
	if file == "" && home != "" { // else it would be looked for where the tool happens to be called
		file = filepath.Join(home, ".aws", name)
	}
	return file
}

func profileOf(p config.SharedConfig) profile {
	own := profile{
		endpoint: cmp.Or(p.Services.ServiceValues["ec2"]["endpoint_url"], p.BaseEndpoint), region: p.Region, caFile: p.CustomCABundle,
		accessKey: p.Credentials.AccessKeyID, secretKey: p.Credentials.SecretAccessKey,
	}
	if own.accessKey != "" {
		return own
	}
	for _, source := range []struct{ what, value string }{
		{"single sign-on", p.SSOStartURL + p.SSOSessionName},
		{"a role (role_arn)", p.RoleARN},
		{"a process (credential_process)", p.CredentialProcess},
		{"a web identity token", p.WebIdentityTokenFile},
		{"another source (credential_source)", p.CredentialSource},
	} {
		if source.value != "" {
			own.needs = fmt.Errorf("the keys of profile %s come from %s, which this cloud does not have: give it aws_access_key_id and aws_secret_access_key", p.Profile, source.what)
			break
		}
	}
	return own
}
