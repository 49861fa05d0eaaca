import NIOCore

/// The JSON of an answer in rspamd's protocol, as far as it is read.
///
/// What is there has the type that rspamd gives it; otherwise the whole is no answer.
struct RspamdReply {
    /// Octets that are read as JSON; what rspamd says of a message are some thousands.
    static let limit = 1 << 20

    var error: String?
    var action: String?
    var score: Double?
    var required: Double?
    var subject: String?
    var symbols: [String: Symbol]?
    var smtpMessage: String?
    /// Which part of rspamd, of 3.5 and later, decided past the score.
    var decider: String?
    var milter: Milter?
    var time: Double?
    /// Of rspamd before 3.4.
    var scanTime: Double?

    struct Symbol {
        var score: Double?
        var options: [String]?
    }

    struct Milter {
        /// Values by name.
        var add: [String: [String]] = [:]
        /// Which of that name.
        var remove: [String: Int] = [:]
        var wish: String?
    }

    static func read(_ json: ByteBuffer) throws(NodeFailure) -> RspamdReply {
        guard json.readableBytes <= limit else { throw NodeFailure("answered more than is read") }
        do throws(JSONReader.Fault) {
            var reader = try JSONReader(Array(json.readableBytesView))
            var reply = RspamdReply()
            var seen: Set<String> = []
            try reader.object { name, reader throws(JSONReader.Fault) in
                // Of two answers to one question neither counts.
                guard seen.insert(name).inserted else { throw JSONReader.Fault(place: 0) }
                try reply.take(name, &reader)
            }
            try reader.end()
            return reply
        } catch {
            throw NodeFailure("answered what is no verdict, after \(error.place) octets")
        }
    }

    private mutating func take(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Fault) {
        switch name {
        case "error": error = try reader.optional(Self.text)
        case "action": action = try reader.optional(Self.text)
        case "score": score = try reader.optional(Self.number)
        case "required_score": required = try reader.optional(Self.number)
        case "subject": subject = try reader.optional(Self.text)
        case "symbols":
            symbols = try reader.optional { reader throws(JSONReader.Fault) in try reader.named(Self.symbol) }
        case "messages": smtpMessage = try reader.optional(Self.smtpMessage) ?? nil
        case "passthrough_module": decider = try reader.optional(Self.text)
        case "milter": milter = try reader.optional(Self.milter)
        case "time_real": time = try reader.optional(Self.number)
        case "scan_time": scanTime = try reader.optional(Self.number)
        default: try reader.skip()
        }
    }

    private static func text(_ reader: inout JSONReader) throws(JSONReader.Fault) -> String { try reader.string() }

    private static func number(_ reader: inout JSONReader) throws(JSONReader.Fault) -> Double { try reader.double() }

    private static func texts(_ reader: inout JSONReader) throws(JSONReader.Fault) -> [String] {
        var texts: [String] = []
        try reader.array { reader throws(JSONReader.Fault) in texts.append(try reader.string()) }
        return texts
    }

    private static func symbol(_ reader: inout JSONReader) throws(JSONReader.Fault) -> Symbol {
        var symbol = Symbol()
        try reader.object { name, reader throws(JSONReader.Fault) in
            switch name {
            case "score": symbol.score = try reader.optional(number)
            case "options": symbol.options = try reader.optional(texts)
            default: try reader.skip()
            }
        }
        return symbol
    }

    private static func smtpMessage(_ reader: inout JSONReader) throws(JSONReader.Fault) -> String? {
        var message: String?
        try reader.object { name, reader throws(JSONReader.Fault) in
            if name == "smtp_message" { message = try reader.optional(text) } else { try reader.skip() }
        }
        return message
    }

    private static func milter(_ reader: inout JSONReader) throws(JSONReader.Fault) -> Milter {
        var milter = Milter()
        try reader.object { name, reader throws(JSONReader.Fault) in
            switch name {
            case "add_headers":
                milter.add = try reader.optional { reader throws(JSONReader.Fault) in try reader.named(values) } ?? [:]
            case "remove_headers":
                milter.remove =
                    try reader.optional { reader throws(JSONReader.Fault) in try reader.named(place) } ?? [:]
            case "reject": milter.wish = try reader.optional(text)
            default: try reader.skip()
            }
        }
        return milter
    }

    private static func place(_ reader: inout JSONReader) throws(JSONReader.Fault) -> Int { try reader.int() }

    /// A text, `{"value": …, "order": …}`, or a list of them.
    private static func values(_ reader: inout JSONReader) throws(JSONReader.Fault) -> [String] {
        switch reader.peek() {
        case UInt8(ascii: "["):
            var all: [String] = []
            try reader.array { reader throws(JSONReader.Fault) in all += try values(&reader) }
            return all
        case UInt8(ascii: "{"):
            var value: String?
            try reader.object { name, reader throws(JSONReader.Fault) in
                if name == "value" { value = try reader.string() } else { try reader.skip() }
            }
            guard let value else { throw JSONReader.Fault(place: 0) }
            return [value]
        default: return [try reader.string()]
        }
    }
}
