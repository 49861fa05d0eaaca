import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

/// A customer's mail server, spoken by hand over a real socket.
final class Client: Sendable {
    struct Silence: Error, CustomStringConvertible {
        var heard: String
        var description: String { "nothing more came within 10 s after \(heard.debugDescription)" }
    }

    private let ear: Ear
    let channel: any Channel

    private init(_ channel: any Channel, _ ear: Ear) {
        self.channel = channel
        self.ear = ear
    }

    /// Connects, with TLS from the start where a context is given.
    static func connect(
        _ port: Int, from source: String = "127.0.0.1", tls: NIOSSLContext? = nil, name: String? = nil
    ) async throws -> Client {
        let ear = Ear()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: try SocketAddress(ipAddress: source, port: 0))
            .channelOption(.allowRemoteHalfClosure, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: name))
                    }
                    try channel.pipeline.syncOperations.addHandler(Listener(ear))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return Client(channel, ear)
    }

    func startTLS(_ context: NIOSSLContext, name: String? = nil) async throws {
        try await channel.eventLoop.submit { [channel] in
            try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: context, serverHostname: name), position: .first)
        }.get()
    }

    /// The certificate the server showed.
    func certificate() async throws -> NIOSSLCertificate? {
        try await channel.nioSSL_peerCertificate().get()
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    /// What the server says until there are that many whole replies.
    func replies(_ count: Int = 1) async throws -> String {
        try await wait { text in
            var end = text.startIndex
            var found = 0
            for line in text.split(separator: "\r\n", omittingEmptySubsequences: false).dropLast() {
                end = text.utf8.index(line.endIndex, offsetBy: 2)
                if line.dropFirst(3).first != "-" { found += 1 }
                if found == count { return end }
            }
            return nil
        }
    }

    /// Says one line and hears the answer.
    func ask(_ line: String, replies count: Int = 1) async throws -> String {
        try await send(line + "\r\n")
        return try await replies(count)
    }

    /// Everything until the server closes.
    func rest() async throws -> String {
        for _ in 0..<2_000 {
            if ear.closed { return ear.take { $0.endIndex } ?? "" }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw Silence(heard: ear.take { $0.endIndex } ?? "")
    }

    func close() async throws { try? await channel.close() }

    private func wait(_ end: (String) -> String.Index?) async throws -> String {
        for _ in 0..<2_000 {
            if let text = ear.take(end) { return text }
            if ear.closed { break }
            try await Task.sleep(for: .milliseconds(5))
        }
        if let text = ear.take(end) { return text }
        throw Silence(heard: ear.take { $0.endIndex } ?? "")
    }
}

/// What a client has heard and not yet taken.
final class Ear: Sendable {
    private let heard = Mutex((text: "", isClosed: false))

    var closed: Bool { heard.withLock { $0.isClosed } }

    func hear(_ text: String) { heard.withLock { $0.text += text } }
    func close() { heard.withLock { $0.isClosed = true } }

    /// Takes the text up to where `end` says; nil when it is not there yet.
    func take(_ end: (String) -> String.Index?) -> String? {
        heard.withLock { heard in
            guard let end = end(heard.text) else { return nil }
            defer { heard.text = String(heard.text[end...]) }
            return String(heard.text[..<end])
        }
    }
}

private final class Listener: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let ear: Ear

    init(_ ear: Ear) {
        self.ear = ear
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        ear.hear(String(buffer: unwrapInboundIn(data)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        ear.close()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
