import Intake
import Mail
import NIOCore
import NIOSSL
import Queue
import SMTP
import Testing

@Suite("TLS", .timeLimit(.minutes(2)))
struct EncryptionTests {
    private func withCertificates(_ body: (CertificateFolder) async throws -> Void) async throws {
        let folder = try CertificateFolder()
        defer { folder.remove() }
        try await body(folder)
    }

    @Test
    func `STARTTLS, then a message`() async throws {
        try await withCertificates { folder in
            let files = try folder.make("a", names: ["a.example"])
            try await Relay.with(tls: .starttls, certificates: [files]) { relay in
                let client = try await Client.connect(relay.port)
                _ = try await client.replies()
                #expect(try await client.ask("EHLO client.example").contains("250-STARTTLS\r\n"))
                #expect(try await client.ask("STARTTLS") == "220 2.0.0 Ready to start TLS\r\n")
                try await client.startTLS(CertificateFolder.clientContext())
                #expect(try await client.ask("MAIL FROM:<a@b>") == "503 5.5.1 Send EHLO or HELO first\r\n")
                #expect(try await client.ask("EHLO client.example").contains("STARTTLS") == false)
                #expect(try await client.ask("STARTTLS") == "503 5.5.1 Bad sequence of commands\r\n")
                _ = try await client.ask("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA", replies: 3)
                let large = String(repeating: "line of text\r\n", count: 30_000)
                #expect(try await client.ask("\r\n\(large).").hasPrefix("250 "))
                let accepted = try #require(relay.mail.accepted.first)
                #expect(accepted.trace.tls == "TLSv1.3")
                #expect(relay.content(accepted).contains("with ESMTPS id"))
                #expect(relay.content(accepted).hasSuffix(large))
                #expect(try await client.ask("QUIT") == "221 2.0.0 Bye\r\n")
                #expect(try await client.rest() == "")
            }
        }
    }

    @Test
    func `commands in the clear behind STARTTLS are never obeyed, in one write or in two`() async throws {
        try await withCertificates { folder in
            let files = try folder.make("a", names: ["a.example"])
            try await Relay.with(tls: .starttls, certificates: [files]) { relay in
                let injected = "EHLO evil\r\nMAIL FROM:<evil@b>\r\nRCPT TO:<x@y>\r\n"
                let client = try await relay.client()
                try await client.send("STARTTLS\r\n" + injected)
                #expect(try await client.rest() == "554 5.5.1 Nothing may follow STARTTLS\r\n")
                // What comes later in the clear is no TLS record, and the handshake fails.
                let second = try await relay.client()
                #expect(try await second.ask("STARTTLS").hasPrefix("220 "))
                try await second.send(injected)
                let rest = try await second.rest()
                #expect(!rest.contains("250"))
            }
        }
    }

    @Test
    func `TLS from the first octet, with the certificate that the client names`() async throws {
        try await withCertificates { folder in
            let first = try folder.make("a", names: ["a.example"])
            let second = try folder.make("b", names: ["b.example", "*.wild.example"])
            let expected: [(String?, CertificateFiles)] = [
                (nil, first), ("a.example", first), ("b.example", second), ("B.Example", second),
                ("x.wild.example", second), ("x.y.wild.example", first), ("unknown.example", first),
            ]
            try await Relay.with(tls: .implicit, certificates: [first, second]) { relay in
                for (name, files) in expected {
                    let client = try await Client.connect(
                        relay.port, tls: CertificateFolder.clientContext(), name: name)
                    #expect(try await client.replies() == "220 relay.example ESMTP Figaro\r\n")
                    #expect(try await client.certificate() == CertificateFolder.certificate(files))
                    #expect(try await client.ask("EHLO c").contains("STARTTLS") == false)
                    #expect(try await client.ask("QUIT") == "221 2.0.0 Bye\r\n")
                }
            }
        }
    }

    @Test
    func `certificates are read again without a restart, and bad ones change nothing`() async throws {
        try await withCertificates { folder in
            let files = try folder.make("a", names: ["a.example"])
            try await Relay.with(tls: .implicit, certificates: [files]) { relay in
                func shown() async throws -> NIOSSLCertificate? {
                    let client = try await Client.connect(relay.port, tls: CertificateFolder.clientContext())
                    _ = try await client.replies()
                    defer { client.channel.close(promise: nil) }
                    return try await client.certificate()
                }
                let old = try CertificateFolder.certificate(files)
                #expect(try await shown() == old)
                let open = try await Client.connect(relay.port, tls: CertificateFolder.clientContext())
                _ = try await open.replies()

                _ = try folder.make("a", names: ["a.example"])
                let new = try CertificateFolder.certificate(files)
                #expect(try await shown() == old)
                try relay.server.replace(relay.configuration)
                #expect(try await shown() == new)
                #expect(try await open.ask("NOOP") == "250 2.0.0 Ok\r\n")

                let other = try folder.make("b", names: ["b.example"])
                try folder.copy(other.key, over: files.key)
                #expect(throws: IntakeError.self) { try relay.server.replace(relay.configuration) }
                #expect(try await shown() == new)
                try folder.overwrite(files.certificate, with: "not PEM")
                let fault = #expect(throws: IntakeError.self) { try relay.server.replace(relay.configuration) }
                #expect(fault?.description.contains(files.certificate) == true)
                #expect(try await shown() == new)
            }
        }
    }

    @Test
    func `a client that does not shake hands is left`() async throws {
        try await withCertificates { folder in
            let files = try folder.make("a", names: ["a.example"])
            let limits = Limits(commandTimeout: .seconds(1))
            try await Relay.with(tls: .implicit, certificates: [files], limits: limits) { relay in
                let client = try await Client.connect(relay.port)
                #expect(try await client.rest().contains("220") == false)
            }
            try await Relay.with(tls: .starttls, certificates: [files], limits: limits) { relay in
                let client = try await relay.client()
                #expect(try await client.ask("STARTTLS").hasPrefix("220 "))
                #expect(try await client.rest().contains("421") == false)
            }
        }
    }

    @Test
    func `a listener with TLS needs a certificate`() async {
        await #expect(throws: IntakeError.certificateMissing(address: "127.0.0.1", port: 0)) {
            _ = try await Relay(tls: .starttls)
        }
        await #expect(throws: IntakeError.self) {
            _ = try await Relay(
                tls: .implicit, certificates: [CertificateFiles(certificate: "/nowhere.pem", key: "/nowhere.key")])
        }
    }
}
