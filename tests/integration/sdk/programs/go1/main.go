// Whoami asks STS, through the AWS SDK for Go v1 and without a line of configuration, who it is.
//
// It writes its SDK's version, and then one line of JSON for each line that it reads.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sts"
)

func main() {
	endpoint := os.Getenv("AWS_ENDPOINT_URL") // this SDK is older than the variable
	client := sts.New(session.Must(session.NewSession(&aws.Config{Endpoint: &endpoint})))
	output := json.NewEncoder(os.Stdout)
	output.Encode(map[string]string{"version": aws.SDKVersion})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		identity, err := client.GetCallerIdentity(&sts.GetCallerIdentityInput{})
		if err != nil {
			output.Encode(map[string]string{"error": err.Error()})
		} else {
			output.Encode(map[string]string{"arn": *identity.Arn, "user_id": *identity.UserId})
		}
	}
}
