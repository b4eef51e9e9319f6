// Issue, Derive, Watch with generated Java: docs/clients.md says how it is generated and run.
import com.example.ichor.v1.AdminServiceGrpc;
import com.example.ichor.v1.DerivationServiceGrpc;
import com.example.ichor.v1.DeriveTokenRequest;
import com.example.ichor.v1.IssueApiKeyRequest;
import com.example.ichor.v1.RevokeApiKeyRequest;
import com.example.ichor.v1.TokenFormat;
import com.example.ichor.v1.WatchKeySetRequest;
import com.example.ichor.v1.WatchKeySetResponse;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.net.URI;
import java.util.Iterator;

public class Calls {
  static Channel as(ManagedChannel channel, String credential) {
    Metadata headers = new Metadata();
    headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + credential);
    return ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  public static void main(String[] args) {
    URI url = URI.create(System.getenv().getOrDefault("ICHOR_URL", "http://127.0.0.1:8420"));
    // With TLS: without usePlaintext.
    ManagedChannel channel = ManagedChannelBuilder.forAddress(url.getHost(), url.getPort()).usePlaintext().build();
    Channel root = as(channel, System.getenv("ICHOR_CREDENTIAL"));
    var admin = AdminServiceGrpc.newBlockingStub(root);

    var issued = admin.issueApiKey(
        IssueApiKeyRequest.newBuilder().setName("from Java").addScopes("invoices:*").build());
    System.out.println("issued " + issued.getApiKey().getId());

    var holder = DerivationServiceGrpc.newBlockingStub(as(channel, issued.getCredential()));
    var derived = holder.deriveToken(DeriveTokenRequest.newBuilder()
        .setFormat(TokenFormat.TOKEN_FORMAT_JWT).addAudiences("https://api.example").build());
    System.out.println("derived " + derived.getTokenId());

    long revocation = 0;
    Iterator<WatchKeySetResponse> stream =
        DerivationServiceGrpc.newBlockingStub(root).watchKeySet(WatchKeySetRequest.getDefaultInstance());
    while (stream.hasNext()) {
      WatchKeySetResponse event = stream.next();
      if (event.hasSnapshotEnd()) {
        var request = RevokeApiKeyRequest.newBuilder().setKeyId(issued.getApiKey().getId()).build();
        revocation = admin.revokeApiKey(request).getRevision();
      } else if (event.hasDelta() && event.getDelta().getRevision() >= revocation) {
        int keys = event.getDelta().getItems().getMarkedKeys().size() / 16;
        System.out.println("told of the revocation of " + keys + " key");
        break;
      }
    }
    channel.shutdownNow();
  }
}
