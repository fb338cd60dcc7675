// Whoami asks STS, through the AWS SDK for Go v2 and without a line of configuration, who it is.
//
// It writes its SDK's version, and then one line of JSON for each line that it reads.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	ctx := context.Background()
	configuration, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client := sts.NewFromConfig(configuration)
	output := json.NewEncoder(os.Stdout)
	output.Encode(map[string]string{"version": aws.SDKVersion})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		identity, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			output.Encode(map[string]string{"error": err.Error()})
		} else {
			output.Encode(map[string]string{"arn": *identity.Arn, "user_id": *identity.UserId})
		}
	}
}
