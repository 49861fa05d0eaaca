import Foundation
import NIOCore

/// The JSON (RFC 8259) of an answer in rspamd's protocol, as far as it is read.
///
/// Foundation bounds the depth (512), ``limit`` the size. What is there has the type that rspamd gives it; otherwise
/// the whole is no answer.
struct RspamdReply: Decodable {
    /// Octets that are read as JSON; what rspamd says of a message are some thousands.
    static let limit = 1 << 20

    var error: String?
    var action: String?
    var score: Double?
    var required: Double?
    var subject: String?
    var symbols: [String: Symbol]?
    var messages: Messages?
    /// Which part of rspamd, of 3.5 and later, decided past the score.
    var decider: String?
    var milter: Milter?
    var time: Double?
    /// Of rspamd before 3.4.
    var scanTime: Double?

    private enum CodingKeys: String, CodingKey {
        case error, action, score, subject, symbols, messages, milter
        case decider = "passthrough_module"
        case required = "required_score"
        case time = "time_real"
        case scanTime = "scan_time"
    }

    struct Symbol: Decodable {
        var score: Double?
        var options: [String]?
    }

    struct Messages: Decodable {
        var smtp: String?

        private enum CodingKeys: String, CodingKey {
            case smtp = "smtp_message"
        }
    }

    struct Milter: Decodable {
        var add: [String: FieldValues]?
        /// Which of that name.
        var remove: [String: Int]?
        var wish: String?

        private enum CodingKeys: String, CodingKey {
            case add = "add_headers"
            case remove = "remove_headers"
            case wish = "reject"
        }
    }

    /// A text, `{"value": …, "order": …}`, or a list of them.
    struct FieldValues: Decodable {
        var texts: [String]

        private struct Ordered: Decodable {
            var value: String
        }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                texts = [text]
            } else if var list = try? decoder.unkeyedContainer() {
                texts = []
                while !list.isAtEnd { texts += try list.decode(FieldValues.self).texts }
            } else {
                texts = [try Ordered(from: decoder).value]
            }
        }
    }

    static func read(_ json: ByteBuffer) throws(NodeFailure) -> RspamdReply {
        guard json.readableBytes <= limit else { throw NodeFailure("answered more than is read") }
        do {
            return try JSONDecoder().decode(RspamdReply.self, from: Data(json.readableBytesView))
        } catch {
            throw NodeFailure("answered what is no verdict: \(reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        return switch error as? DecodingError {
        case .dataCorrupted: "no JSON"
        case .keyNotFound(let key, let context): "\(path(context)) lacks \(key.stringValue)"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "“\(path(context))” has another type than it should"
        default: "it cannot be decoded"
        }
    }
}
