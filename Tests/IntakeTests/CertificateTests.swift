import Mail
import NIOCore
import NIOSSL
import Queue
import SMTP
import Testing

@testable import Intake

/// Customers that are known by the certificate their server shows.
@Suite("Client certificates", .timeLimit(.minutes(2)))
struct CertificateTests {
    /// A relay that knows nobody by an address, and certificates to show to it.
    private struct Place {
        var relay: Relay
        var folder: CertificateFolder
        var known: CertificateFiles
        var unknown: CertificateFiles

        /// A client that has said EHLO inside TLS.
        func client(_ shown: CertificateFiles?, _ version: TLSVersion = .tlsv13) async throws
            -> (client: Client, ehlo: String)
        {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .none
            configuration.minimumTLSVersion = version
            configuration.maximumTLSVersion = version
            if let shown {
                configuration.certificateChain = [.certificate(try CertificateFolder.certificate(shown))]
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: shown.key, format: .pem))
            }
            let client = try await Client.connect(relay.port)
            _ = try await client.replies()
            _ = try await client.ask("EHLO client.example")
            _ = try await client.ask("STARTTLS")
            try await client.startTLS(try NIOSSLContext(configuration: configuration))
            return (client, try await client.ask("EHLO client.example"))
        }

        /// What is answered to RCPT.
        func recipient(_ client: Client) async throws -> String {
            let replies = try await client.ask(
                "RSET\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<c@d.example>", replies: 3)
            return String(replies.dropFirst("250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n".count))
        }

        func customer(_ name: String, _ prints: [CertificateFingerprint]) -> Customer {
            var customer = Customer(name: name, networks: [])
            customer.certificates = prints
            return customer
        }

        func print(_ files: CertificateFiles) throws -> CertificateFingerprint {
            CertificateFingerprint(of: try CertificateFolder.certificate(files).toDERBytes())
        }

        func keyPrint(_ files: CertificateFiles) throws -> CertificateFingerprint {
            CertificateFingerprint(
                of: try CertificateFolder.certificate(files).extractPublicKey().toSPKIBytes())
        }
    }

    private let taken = "250 2.1.5 Ok\r\n"
    private let denied = "550 5.7.1 Relay access denied\r\n"

    private func with(_ body: (Place) async throws -> Void) async throws {
        let folder = try CertificateFolder()
        defer { folder.remove() }
        let files = try folder.make("relay", names: ["relay.example"])
        let known = try folder.make("known", names: ["mail.acme.example"])
        let unknown = try folder.make("unknown", names: ["mail.acme.example"])
        try await Relay.with(tls: .starttls, certificates: [files], customers: ["far": ["192.0.2.0/24"]]) { relay in
            try await body(Place(relay: relay, folder: folder, known: known, unknown: unknown))
        }
    }

    @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
    func `a known certificate is its customer, an unknown one and none are nobody`(_ version: TLSVersion) async throws {
        try await with { place in
            place.relay.server.replaceKept([place.customer("acme", [try place.print(place.known)])])
            let (client, ehlo) = try await place.client(place.known, version)
            #expect(ehlo.contains("250-AUTH EXTERNAL\r\n"))
            #expect(try await place.recipient(client) == taken)
            _ = try await client.ask("DATA")
            #expect(try await client.ask("Subject: x\r\n\r\nx\r\n.").hasPrefix("250 "))
            let accepted = try #require(place.relay.mail.accepted.first)
            #expect(accepted.message.customer == "acme")
            #expect(accepted.trace.known == "certificate \(try place.print(place.known).brief)")
            let content = place.relay.content(accepted)
            #expect(content.contains("with ESMTPS (client certificate) id "))
            for shown in [place.unknown, nil] {
                let (client, ehlo) = try await place.client(shown, version)
                #expect(!ehlo.contains("AUTH"))
                #expect(try await place.recipient(client) == denied)
            }
        }
    }

    @Test
    func `a public key is as good as its certificate, and survives its renewal`() async throws {
        try await with { place in
            place.relay.server.replaceKept([place.customer("acme", [try place.keyPrint(place.known)])])
            let (client, _) = try await place.client(place.known)
            #expect(try await place.recipient(client) == taken)
            #expect(try await client.ask("RSET") == "250 2.0.0 Ok\r\n")
            #expect(try await client.ask("AUTH EXTERNAL b3RoZXI=").hasPrefix("535 "))
            #expect(try await client.ask("AUTH EXTERNAL =") == "235 2.7.0 Authentication successful\r\n")
            #expect(try await place.recipient(client) == taken)
            _ = try await client.ask("DATA")
            _ = try await client.ask("Subject: x\r\n\r\nx\r\n.")
            let accepted = try #require(place.relay.mail.accepted.first)
            #expect(place.relay.content(accepted).contains("with ESMTPSA (client certificate) id "))
        }
    }

    @Test
    func `a certificate is asked for as soon as somebody has one, and worth nothing when nobody has`() async throws {
        try await with { place in
            let prints = [try place.print(place.known)]
            let (early, _) = try await place.client(place.known)
            #expect(try await place.recipient(early) == denied, "nobody has one yet")
            place.relay.server.replaceKept([place.customer("acme", prints)])
            let (client, _) = try await place.client(place.known)
            #expect(try await place.recipient(client) == taken)
            place.relay.server.replaceKept([place.customer("shop", prints)])
            #expect(try await client.ask("RSET") == "250 2.0.0 Ok\r\n")
            #expect(try await client.ask("MAIL FROM:<a@b>") == "421 4.7.0 Your login is no longer valid\r\n")
            let (next, _) = try await place.client(place.known)
            #expect(try await place.recipient(next) == taken)
        }
    }

    @Test
    func `what a certificate says is held to its customer's senders`() async throws {
        try await with { place in
            var customer = place.customer("shop", [try place.print(place.known)])
            _ = customer.senders.insert("shop.example")
            place.relay.server.replaceKept([customer])
            let (client, _) = try await place.client(place.known)
            #expect(try await client.ask("MAIL FROM:<a@acme.example>").hasPrefix("550 5.7.1 Sender"))
            #expect(try await client.ask("MAIL FROM:<a@shop.example>") == "250 2.1.0 Ok\r\n")
        }
    }
}

/// Fingerprints as people write them.
struct CertificateFingerprintTests {
    private let octets = (0..<32).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ 5) }

    private var written: String {
        octets.map { String($0 >> 4, radix: 16, uppercase: true) + String($0 & 15, radix: 16, uppercase: true) }
            .joined(separator: ":")
    }

    @Test func `colons and case make no difference, and it is written as OpenSSL does`() throws {
        let print = try #require(CertificateFingerprint(written))
        #expect(print.description == written)
        #expect(CertificateFingerprint(written.lowercased()) == print)
        #expect(CertificateFingerprint(written.filter { $0 != ":" }) == print)
        #expect(written.hasPrefix(print.brief))
    }

    @Test func `of the empty text`() {
        let empty = CertificateFingerprint(of: [])
        #expect(empty.brief == "E3:B0:C4:42:98:FC:1C:14")
    }

    @Test func `anything else is none, and says what it should be`() {
        let others = [
            "", "AB:CD", String(written.dropLast()), written + ":", written + ":00", ":" + written.dropFirst(),
            written.replacing(":", with: "-"), "G" + written.dropFirst(), "é" + written.dropFirst(2),
            String(repeating: "A", count: 96), String(repeating: ":", count: 95),
        ]
        for text in others {
            #expect(CertificateFingerprint(text) == nil, "\(text)")
            #expect(CertificateFingerprint.fault(in: text).contains("is not a SHA-256 fingerprint such as 8F:43:"))
        }
        let old = written.prefix(59)
        #expect(CertificateFingerprint.fault(in: String(old)).hasSuffix("it has 20, as SHA-1 makes them"))
    }
}
