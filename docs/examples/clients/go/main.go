// Issue, Derive, Watch with generated Go: docs/clients.md says how it is generated and run.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	ichorv1 "example.com/calls/gen/ichor/v1"
)

func as(credential string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+credential)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	url := os.Getenv("ICHOR_URL")
	if url == "" {
		url = "http://127.0.0.1:8420"
	}
	// With TLS: grpc.WithTransportCredentials(credentials.NewTLS(nil)).
	connection, err := grpc.Dial(strings.TrimPrefix(url, "http://"), grpc.WithInsecure())
	check(err)
	defer connection.Close()
	admin := ichorv1.NewAdminServiceClient(connection)
	derivation := ichorv1.NewDerivationServiceClient(connection)
	root := as(os.Getenv("ICHOR_CREDENTIAL"))

	issued, err := admin.IssueApiKey(root, &ichorv1.IssueApiKeyRequest{Name: "from Go", Scopes: []string{"invoices:*"}})
	check(err)
	fmt.Println("issued", issued.ApiKey.Id)

	derived, err := derivation.DeriveToken(as(issued.Credential), &ichorv1.DeriveTokenRequest{
		Format:    ichorv1.TokenFormat_TOKEN_FORMAT_JWT,
		Audiences: []string{"https://api.example"},
	})
	check(err)
	fmt.Println("derived", derived.TokenId)

	stream, err := derivation.WatchKeySet(root, &ichorv1.WatchKeySetRequest{})
	check(err)
	revocation := int64(0)
	for {
		event, err := stream.Recv()
		check(err)
		if event.GetSnapshotEnd() != nil {
			revoked, err := admin.RevokeApiKey(root, &ichorv1.RevokeApiKeyRequest{KeyId: issued.ApiKey.Id})
			check(err)
			revocation = revoked.Revision
		} else if delta := event.GetDelta(); delta != nil && delta.Revision >= revocation {
			fmt.Println("told of the revocation of", len(delta.Items.MarkedKeys)/16, "key")
			return
		}
	}
}
