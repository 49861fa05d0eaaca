import Foundation
import NIOCore

/// What a filter node adds to rspamd's answers.
enum FilterNode {
    /// The symbol of a virus, whichever scanner found it; its option is the virus's name.
    static let virusSymbol = "FIGARO_VIRUS"

    /// The answer where no rspamd is asked.
    static var bare: ByteBuffer {
        ByteBuffer(
            string: #"{"is_skipped":false,"score":0,"required_score":0,"action":"no action","symbols":{},"#
                + #""messages":{}}"#)
    }

    /// rspamd's answer about a message that carries a virus.
    ///
    /// - Parameter answer: JSON that was read as an answer before; all that is in it stays.
    static func marked(_ answer: ByteBuffer, virus: String) -> ByteBuffer {
        let read = try? JSONSerialization.jsonObject(with: Data(answer.readableBytesView))
        var members = read as? [String: Any] ?? ["score": 0, "required_score": 0]
        var symbols = members["symbols"] as? [String: Any] ?? [:]
        symbols[virusSymbol] =
            [
                "name": virusSymbol, "score": 0, "metric_score": 0, "description": "a virus was found",
                "options": [virus],
            ] as [String: Any]
        members["symbols"] = symbols
        members["action"] = Verdict.Action.reject.rawValue
        members["messages"] = ["smtp_message": "virus found"]
        // Neither can fail of what was read as JSON; without an answer the check counts as unavailable.
        let written = try? JSONSerialization.data(withJSONObject: members, options: .sortedKeys)
        return ByteBuffer(bytes: written ?? Data())
    }
}
