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
        let json = JSON.object([JSON.Member(name: "error", value: .string(error))])
        self.init(status: status, body: ByteBuffer(string: json.written))
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
            self.init(status: .ok, body: ByteBuffer(string: (joined.json ?? FilterNode.bare).written))
            let wants = request.headers["Flags"].contains { $0.contains("body_block") }
            guard wants, let content = verdict.changes.content else { return }
            headers.add(name: "Message-Offset", value: "\(body.readableBytes)")
            body.writeImmutableBuffer(content)
        }
    }

    /// The keys that `rspamc stat` shows.
    init(stat figures: FilterFigures, since start: NIODeadline) {
        func number(_ name: String, _ value: Int) -> JSON.Member {
            JSON.Member(name: name, value: .number(Double(value)))
        }
        let spam = Verdict.Action.allCases.filter { [.reject, .addHeader, .rewriteSubject].contains($0) }
            .reduce(0) { $0 + (figures.actions[$1] ?? 0) }
        let actions = Verdict.Action.allCases.map { number($0.rawValue, figures.actions[$0] ?? 0) }
        let nodes = figures.nodes.map { node in
            JSON.object([
                JSON.Member(name: "name", value: .string(node.name)), number("checks", node.checks),
                number("failed", node.failed), number("busy", node.busy),
                JSON.Member(name: "aside", value: .bool(node.isAside)),
            ])
        }
        let json = JSON.object([
            JSON.Member(name: "version", value: .string("figaro")), number("scanned", figures.checked),
            number("learned", 0), JSON.Member(name: "actions", value: .object(actions)),
            number("spam_count", spam), number("ham_count", figures.actions.values.reduce(0, +) - spam),
            number("connections", 0), number("control_connections", 0), number("pages_allocated", 0),
            number("bytes_allocated", 0),
            number("uptime", Int((NIODeadline.now() - start).nanoseconds / 1_000_000_000)),
            JSON.Member(name: "read_only", value: .bool(true)), number("viruses", figures.viruses),
            number("unavailable", figures.unavailable), number("too_large", figures.tooLarge),
            number("hedged", figures.hedges), JSON.Member(name: "nodes", value: .array(nodes)),
            JSON.Member(name: "statfiles", value: .array([])),
        ])
        self.init(status: .ok, body: ByteBuffer(string: json.written))
    }
}
