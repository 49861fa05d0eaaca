import Filtering
import Foundation
import Intake
import Logging
import Mail
import NIOCore
import NIOPosix
import NIOSSL
import Queue
import SMTP

/// An intake on a free port of the loopback, with everything behind it in memory.
struct Relay {
    let mail = HeldMail()
    let files = HeldFiles()
    let server: IntakeServer
    let configuration: Intake.Configuration
    let port: Int

    /// - Parameter customers: networks by customer; loopback belongs to one unless said otherwise.
    init(
        tls: TLSMode = .none, certificates: [CertificateFiles] = [], limits: Limits = Limits(),
        customers: [String: [String]] = ["acme": ["127.0.0.0/8"]], postmaster: Address? = nil,
        filter: Filter? = nil, nameFinder: ClientNameFinder? = nil, namers: [String] = []
    ) async throws {
        let configuration = Configuration(
            hostname: "relay.example",
            listeners: [
                Intake.Listener(
                    address: IPAddress(v4: 0x7F00_0001), port: 0, tls: tls, namers: namers.compactMap { IPNetwork($0) })
            ],
            certificates: certificates,
            customers: customers.map { Customer(name: $0, networks: $1.compactMap { IPNetwork($0) }) },
            limits: limits, postmaster: postmaster)
        self.configuration = configuration
        server = try IntakeServer(
            configuration: configuration, queue: mail, contentFiles: files, ids: MessageID.Generator(),
            time: FixedTime(), group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, filter: filter, nameFinder: nameFinder)
        port = try await server.bind().first ?? 0
    }

    /// Runs the body and takes the server down after it, whatever happened.
    static func with(
        tls: TLSMode = .none, certificates: [CertificateFiles] = [], limits: Limits = Limits(),
        customers: [String: [String]] = ["acme": ["127.0.0.0/8"]], postmaster: Address? = nil,
        filter: Filter? = nil, nameFinder: ClientNameFinder? = nil, namers: [String] = [],
        _ body: (Relay) async throws -> Void
    ) async throws {
        let relay = try await Relay(
            tls: tls, certificates: certificates, limits: limits, customers: customers, postmaster: postmaster,
            filter: filter, nameFinder: nameFinder, namers: namers)
        do {
            try await body(relay)
        } catch {
            await relay.server.shutdown(grace: .zero)
            throw error
        }
        await relay.server.shutdown(grace: .zero)
    }

    /// A client that has been greeted and has said EHLO.
    func client() async throws -> Client {
        let client = try await Client.connect(port)
        _ = try await client.replies()
        _ = try await client.ask("EHLO client.example")
        return client
    }

    /// A client in the middle of a message, after 354.
    ///
    /// - Parameter named: what it says with XCLIENT before that.
    func clientInData(named: String? = nil) async throws -> Client {
        let client = try await client()
        if let named { _ = try await client.ask("XCLIENT \(named)") }
        _ = try await client.ask("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA", replies: 3)
        return client
    }

    /// Content as it was kept, wherever that is.
    func content(_ accepted: Accepted) -> String {
        switch accepted.message.content {
        case .inline(let bytes): String(buffer: bytes)
        case .file(let name): files.content(name).map { String(buffer: $0) } ?? "no such file"
        }
    }
}

/// Sun, 22 Nov 2026 09:51:27 +0000.
struct FixedTime: TimeSource {
    func now() -> Timestamp { Timestamp(milliseconds: 1_795_341_087_000) }
}

/// Certificates made on the spot, in a folder that goes away.
struct CertificateFolder {
    struct Failed: Error {}

    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "intake-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }

    /// Makes a self-signed certificate; the same file name replaces an older one.
    func make(_ file: String, names: [String]) throws -> CertificateFiles {
        let files = CertificateFiles(
            certificate: folder.appending(path: "\(file).pem").path, key: folder.appending(path: "\(file).key").path)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=\(names[0])", "-addext",
            "subjectAltName=" + names.map { "DNS:\($0)" }.joined(separator: ","), "-keyout", files.key, "-out",
            files.certificate,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failed() }
        return files
    }

    func copy(_ file: String, over other: String) throws {
        try Data(contentsOf: URL(filePath: file)).write(to: URL(filePath: other))
    }

    func overwrite(_ file: String, with text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: file))
    }

    static func certificate(_ files: CertificateFiles) throws -> NIOSSLCertificate {
        guard let certificate = try NIOSSLCertificate.fromPEMFile(files.certificate).first else { throw Failed() }
        return certificate
    }

    /// A client that takes any certificate: the test compares it itself.
    static func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        return try NIOSSLContext(configuration: configuration)
    }
}
