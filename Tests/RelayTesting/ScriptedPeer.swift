import Mail
package import NIOCore
import NIOPosix
package import NIOSSL
import Synchronization

/// A receiver on a loopback address that plays a script: what it says, what it expects, and when it goes silent or
/// away. Keeps what every connection said, byte for byte.
package final class ScriptedPeer: Sendable {
    package enum Step: Sendable {
        /// Says these lines; CRLF is put after the last one.
        case say(String)
        /// Sends exactly this.
        case send(String)
        /// The next line is this, or starts with it where a `*` stands at its end. Otherwise the connection is closed
        /// and the line is kept as unexpected.
        case expect(String)
        /// Takes content up to its final dot.
        case content
        /// Does nothing for so long; what comes in meanwhile waits.
        case pause(TimeAmount)
        /// Reads no more from here on, so that the sender's window fills.
        case stopReading
        /// Speaks TLS from here on, as the server.
        case startTLS
        case close
        /// Answers whatever comes from here on, without a banner.
        case serve(Manners)
    }

    /// How a peer behaves when no script says what comes next.
    package struct Manners: Sendable {
        /// Keywords of the EHLO reply.
        package var features = ["PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        /// Replies to lines that start with a prefix; the first one that fits counts.
        package var answers: [(prefix: String, reply: String)] = []
        package var dot = "250 2.0.0 kept"

        package init() {}
    }

    /// What one connection did.
    package struct Visit: Sendable {
        package var address: String
        package var port: Int
        package var lines: [String] = []
        /// As sent: dot-stuffed, with the final dot.
        package var contents: [[UInt8]] = []
        package var unexpected: [String] = []
        package var hasLeft = false
        package var tls = false
    }

    private let channel: any Channel
    private let visited: Visits
    package let port: Int

    private init(channel: any Channel, visited: Visits) {
        self.channel = channel
        self.visited = visited
        self.port = channel.localAddress?.port ?? 0
    }

    /// Listens. The first connection plays the first script, and so on; the last script serves all later ones too.
    package static func start(
        _ scripts: [Step]..., address: String = "127.0.0.1", port: Int = 0, tls: NIOSSLContext? = nil
    ) async throws -> ScriptedPeer {
        let visited = Visits()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    let visit = visited.enter(child.remoteAddress)
                    let script = scripts.isEmpty ? [] : scripts[min(visit, scripts.count - 1)]
                    try child.pipeline.syncOperations.addHandler(
                        PeerHandler(script: script, visit: visit, visited: visited, tls: tls))
                }
            }
            .bind(host: address, port: port).get()
        return ScriptedPeer(channel: channel, visited: visited)
    }

    /// Says 220 and then takes all that comes.
    package static func accepting(
        _ manners: Manners = Manners(), address: String = "127.0.0.1", port: Int = 0
    ) async throws -> ScriptedPeer {
        try await start([.say("220 peer ESMTP"), .serve(manners)], address: address, port: port)
    }

    /// In the order of their coming.
    package var visits: [Visit] { visited.all }

    /// The content of every visit, in the order of visits.
    package var contents: [[UInt8]] { visits.flatMap(\.contents) }

    package func stop() async {
        try? await channel.close()
    }
}

/// Shared by the connections of a peer.
final class Visits: Sendable {
    private let visits = Mutex<[ScriptedPeer.Visit]>([])

    var all: [ScriptedPeer.Visit] { visits.withLock { $0 } }

    func enter(_ address: SocketAddress?) -> Int {
        visits.withLock { visits in
            visits.append(ScriptedPeer.Visit(address: address?.ipAddress ?? "", port: address?.port ?? 0))
            return visits.count - 1
        }
    }

    func note(_ index: Int, _ change: (inout ScriptedPeer.Visit) -> Void) {
        visits.withLock { change(&$0[index]) }
    }
}
