import Foundation
import Mail
import Storage

/// Ends that the relay's log tells of, for messages of which the history cannot: the log is written within
/// milliseconds, the history within seconds, so that a kill takes less of it.
struct LogWitness {
    /// Recipients that have ended, by message.
    private(set) var ends: [MessageID: Int] = [:]

    /// One line of a log in JSON; the keys are those of ``EventLine``.
    private struct Line: Decodable {
        var event: String?
        var message: String?
        var decision: String?
        var recipients: Int?
    }

    /// - Parameter wanted: the messages that are asked for; others are passed over.
    mutating func read(_ line: String, wanted: Set<MessageID>) {
        guard line.contains("ended") || line.contains("delivered") || line.contains("relayed") else { return }
        let read = line.hasPrefix("{") ? JSONLine.value(Line.self, from: line) : Self.logfmt(line)
        guard let read, let id = read.message.flatMap({ MessageID($0) }), wanted.contains(id) else { return }
        guard read.event == "ended" || (read.event == "attempt" && ["delivered", "relayed"].contains(read.decision))
        else { return }
        // A single recipient is named, several are counted.
        ends[id, default: 0] += read.recipients ?? 1
    }

    /// Values that are asked for never need quotes; those that have some are skipped as a whole.
    private static func logfmt(_ line: String) -> Line {
        var read = Line()
        var isQuoted = false
        var isEscaped = false
        // What stands before the first key, a time of journald for instance, has no equals sign.
        let words = line.split { character in
            if isEscaped {
                isEscaped = false
            } else if character == "\\" {
                isEscaped = isQuoted
            } else if character == "\"" {
                isQuoted.toggle()
            }
            return character == " " && !isQuoted
        }
        for word in words {
            guard let equals = word.firstIndex(of: "=") else { continue }
            let value = String(word[word.index(after: equals)...])
            switch word[..<equals] {
            case "event": read.event = value
            case "message": read.message = value
            case "decision": read.decision = value
            case "recipients": read.recipients = Int(value)
            default: break
            }
        }
        return read
    }

    /// Whether the log tells of as many ends as are missing.
    func explains(_ finding: AuditFinding) -> Bool {
        guard finding.excuse != nil, finding.kind == .lost || finding.kind == .unaccounted else { return false }
        return ends[finding.message, default: 0] >= finding.recipients.count
    }
}
