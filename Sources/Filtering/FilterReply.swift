import Foundation
import NIOCore
import NIOHTTP1

/// What a filter node answers to one request.
struct FilterReply {
    var status: HTTPResponseStatus
    var type = "application/json"
    var headers: HTTPHeaders = [:]
    var body: ByteBuffer

    static var pong: FilterReply {
        FilterReply(status: .ok, type: "text/plain", body: ByteBuffer(string: "pong\r\n"))
    }

    static var tooLarge: FilterReply { FilterReply(status: .payloadTooLarge, error: "larger than what is scanned") }
    static var notFound: FilterReply { FilterReply(status: .notFound, error: "/checkv2, /ping, /stat") }
    static var notRead: FilterReply {
        FilterReply(status: .unsupportedMediaType, error: "compressed and encrypted requests are not read")
    }

    init(status: HTTPResponseStatus, type: String = "application/json", body: ByteBuffer) {
        self.status = status
        self.type = type
        self.body = body
    }

    private init(status: HTTPResponseStatus, error: String) {
        self.init(status: status, body: Self.json(["error": error]))
    }

    init(unavailable reason: String) {
        self.init(status: .serviceUnavailable, error: reason)
    }

    /// What came of a check; a message that was changed goes behind the answer where the client asked for it.
    init(_ joined: Joined, for request: HTTPRequestHead) {
        switch joined.result {
        case .unavailable(let reason): self.init(unavailable: reason)
        case .tooLarge: self = .tooLarge
        case .verdict(let verdict):
            self.init(status: .ok, body: joined.json ?? FilterNode.bare)
            let wants = request.headers["Flags"].contains { $0.contains("body_block") }
            guard wants, let content = verdict.changes.content else { return }
            headers.add(name: "Message-Offset", value: "\(body.readableBytes)")
            body.writeImmutableBuffer(content)
        }
    }

    init(stat figures: FilterFigures, since start: NIODeadline) {
        self.init(status: .ok, body: Self.json(FilterStat(figures, since: start)))
    }

    private static func json(_ value: some Encodable) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return ByteBuffer(bytes: (try? encoder.encode(value)) ?? Data())
    }
}

/// The keys that `rspamc stat` shows, and ours.
private struct FilterStat: Encodable {
    struct Node: Encodable {
        var name: String
        var checks, failed, busy: Int
        var aside: Bool
    }

    var version = "figaro"
    var scanned, spamCount, hamCount, uptime: Int
    var actions: [String: Int]
    var learned = 0
    var connections = 0
    var controlConnections = 0
    var pagesAllocated = 0
    var bytesAllocated = 0
    var readOnly = true
    var statfiles: [String] = []
    var viruses, unavailable, tooLarge, hedged: Int
    var nodes: [Node]

    init(_ figures: FilterFigures, since start: NIODeadline) {
        scanned = figures.checked
        spamCount = [.reject, .addHeader, .rewriteSubject].reduce(0) { $0 + (figures.actions[$1] ?? 0) }
        hamCount = figures.actions.values.reduce(0, +) - spamCount
        uptime = Int((NIODeadline.now() - start).nanoseconds / 1_000_000_000)
        actions = Dictionary(
            uniqueKeysWithValues: Verdict.Action.allCases.map { ($0.rawValue, figures.actions[$0] ?? 0) })
        viruses = figures.viruses
        unavailable = figures.unavailable
        tooLarge = figures.tooLarge
        hedged = figures.hedges
        nodes = figures.nodes.map {
            Node(name: $0.name, checks: $0.checks, failed: $0.failed, busy: $0.busy, aside: $0.isAside)
        }
    }
}
