import NIOCore
import SMTP

/// What sessions are begun with. A reload makes another one; sessions keep theirs until they end.
final class Generation: Sendable {
    let services: Services
    let certificates: CertificateHolder?
    private let timeouts: ServerTimeouts
    private let settings: [TLSMode: ServerSettings]
    /// By event loop.
    private let watches: [ObjectIdentifier: SessionWatch]

    /// - Throws: ``IntakeError`` when certificates cannot be loaded, or are missing where a listener has TLS.
    init(_ services: Services, group: any EventLoopGroup) throws {
        let configuration = services.configuration
        let limits = configuration.limits
        self.services = services
        let timeouts = ServerTimeouts(
            command: limits.commandTimeout, data: limits.dataTimeout, content: limits.contentTimeout,
            minimumRate: limits.minimumDataRate)
        self.timeouts = timeouts
        settings = Dictionary(
            uniqueKeysWithValues: Set(configuration.listeners.map(\.tls)).map {
                ($0, Self.settings(configuration, timeouts, $0))
            })
        watches = Dictionary(
            group.makeIterator().map { (ObjectIdentifier($0), SessionWatch(loop: $0, timeouts: timeouts)) }
        ) { first, _ in first }
        certificates = try Self.certificates(configuration)
    }

    private static func certificates(_ configuration: Configuration) throws(IntakeError) -> CertificateHolder? {
        guard !configuration.certificates.isEmpty else {
            if let listener = configuration.listeners.first(where: { $0.tls != .none }) {
                throw IntakeError.certificateMissing(address: "\(listener.address)", port: listener.port)
            }
            return nil
        }
        do throws(CertificateHolder.Fault) {
            return try CertificateHolder(configuration.certificates)
        } catch {
            throw .certificate(file: error.file, reason: error.reason)
        }
    }

    private static func settings(
        _ configuration: Configuration, _ timeouts: ServerTimeouts, _ mode: TLSMode
    ) -> ServerSettings {
        ServerSettings(
            hostname: configuration.hostname, mode: mode, messageSize: configuration.limits.messageSize,
            lineLength: configuration.limits.lineLength, timeouts: timeouts)
    }

    func settings(_ mode: TLSMode) -> ServerSettings {
        settings[mode] ?? Self.settings(services.configuration, timeouts, mode)
    }

    func watch(of loop: any EventLoop) -> SessionWatch {
        watches[ObjectIdentifier(loop)] ?? SessionWatch(loop: loop, timeouts: timeouts)
    }
}
