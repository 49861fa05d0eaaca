import NIOCore
package import NIOSSL

/// The certificates that listeners show, as they were read.
package final class CertificateHolder: Sendable {
    /// Why certificates could not be loaded.
    package struct Fault: Error, Hashable, CustomStringConvertible {
        /// The file that is to blame.
        package let file: String
        package let reason: String

        package var description: String { "\(file): \(reason)" }
    }

    private let context: NIOSSLContext
    /// Asks clients for a certificate. Sessions of one are not resumed in the other, so that a client which has been
    /// here before is asked as well.
    private let asking: NIOSSLContext

    /// What a client may sign with: whatever the fields of a mailserver's certificate may need.
    private static let signatures: [SignatureAlgorithm] = [
        .ecdsaSecp256R1Sha256, .ed25519, .rsaPssRsaeSha256, .rsaPkcs1Sha256, .ecdsaSecp384R1Sha384, .rsaPssRsaeSha384,
        .rsaPkcs1Sha384, .ecdsaSecp521R1Sha512, .rsaPssRsaeSha512, .rsaPkcs1Sha512,
    ]

    /// - Parameter files: 1 or more; the first is shown to clients that ask for no name, or one that nobody has.
    package init(_ files: [CertificateFiles]) throws(Fault) {
        var configuration = try Self.load(files)
        context = try Self.context(configuration, files[0])
        configuration.certificateVerification = .optionalVerification
        configuration.verifySignatureAlgorithms = Self.signatures
        // None, or those of the system would be read for nothing.
        configuration.trustRoots = .certificates([])
        asking = try Self.context(configuration, files[0])
    }

    /// - Parameter asksClient: the client is asked for a certificate. It may have none, and any that it has the key of
    ///   will do: what it is worth is decided by whoever knows the customers.
    package func makeHandler(asksClient: Bool = false) -> NIOSSLServerHandler {
        guard asksClient else { return NIOSSLServerHandler(context: context) }
        return NIOSSLServerHandler(context: asking) { _, verdict in verdict.succeed(.certificateVerified) }
    }

    private static func load(_ files: [CertificateFiles]) throws(Fault) -> TLSConfiguration {
        let pairs = try loadPairs(files)
        guard let first = pairs.first else { throw Fault(file: "", reason: "no certificate is configured") }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: first.chain, privateKey: first.key)
        configuration.minimumTLSVersion = .tlsv12
        // How long a client may take to agree to the end; nothing of ours is outstanding by then.
        configuration.shutdownTimeout = .seconds(1)
        if pairs.count > 1 {
            let directory = NameDirectory(pairs)
            configuration.sslContextCallback = { values, promise in
                promise.succeed(directory.override(for: values.serverHostname))
            }
        }
        return configuration
    }

    private static func loadPairs(_ files: [CertificateFiles]) throws(Fault) -> [Pair] {
        var pairs: [Pair] = []
        for file in files {
            let pair = try Pair(file)
            // A context of its own proves that key and certificate belong together.
            _ = try context(.makeServerConfiguration(certificateChain: pair.chain, privateKey: pair.key), file)
            pairs.append(pair)
        }
        return pairs
    }

    private static func context(
        _ configuration: TLSConfiguration, _ file: CertificateFiles
    ) throws(Fault) -> NIOSSLContext {
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw Fault(file: file.key, reason: "does not fit the certificate \(file.certificate) (\(error))")
        }
    }
}

/// A certificate chain with its key, and the names it is for.
private struct Pair {
    let chain: [NIOSSLCertificateSource]
    let key: NIOSSLPrivateKeySource
    /// Lower-cased DNS names; one may begin with `*.`.
    let names: [String]

    init(_ files: CertificateFiles) throws(CertificateHolder.Fault) {
        let certificates: [NIOSSLCertificate]
        do {
            certificates = try NIOSSLCertificate.fromPEMFile(files.certificate)
        } catch {
            throw CertificateHolder.Fault(file: files.certificate, reason: "cannot be read as PEM (\(error))")
        }
        guard let leaf = certificates.first else {
            throw CertificateHolder.Fault(file: files.certificate, reason: "holds no certificate")
        }
        do {
            key = .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem))
        } catch {
            throw CertificateHolder.Fault(file: files.key, reason: "cannot be read as a PEM key (\(error))")
        }
        chain = certificates.map { .certificate($0) }
        names = leaf._subjectAlternativeNames().compactMap { name in
            guard name.nameType == .dnsName else { return nil }
            return String(decoding: name.contents, as: UTF8.self).lowercased()
        }
    }
}

/// Finds the certificate for a name that a client asks for.
private struct NameDirectory: Sendable {
    private var byName: [String: NIOSSLContextConfigurationOverride] = [:]

    init(_ pairs: [Pair]) {
        for pair in pairs {
            var override = NIOSSLContextConfigurationOverride()
            override.certificateChain = pair.chain
            override.privateKey = pair.key
            // The first one in the configuration wins where two have the same name.
            for name in pair.names where byName[name] == nil { byName[name] = override }
        }
    }

    /// The name itself, else a wildcard for its first label (RFC 6125 section 6.4.3), else the default.
    func override(for name: String?) -> NIOSSLContextConfigurationOverride {
        guard let name = name?.lowercased() else { return .noChanges }
        if let exact = byName[name] { return exact }
        guard let dot = name.firstIndex(of: ".") else { return .noChanges }
        return byName["*" + name[dot...]] ?? .noChanges
    }
}
