import Foundation
import Mail
import Storage

/// What is asked of the ``SupportDesk``.
struct SupportRequest: Codable, Sendable, Hashable {
    /// How many messages' stories are wanted, the youngest ones.
    var messages = 200

    /// Messages in one answer at most.
    static let limit = 5_000
}

/// Answers with what a running relay knows of itself, for somebody else to read: nothing of a message's content, no
/// local parts.
struct SupportDesk: Sendable {
    let page: MetricsPage
    let history: History
    let writer: LogWriter

    func answer(_ request: SupportRequest, _ caller: ControlCaller) -> ControlEnd {
        let health = [("health", page.trouble()), ("ready", page.refusal())]
            .map { "\($0.0): \($0.1 ?? "ok")\n" }.joined()
        for (name, text) in [("health.txt", health), ("metrics.txt", page.text()), ("log.txt", log)] {
            guard caller.send(SupportPart(part: name, text: text)) else { return ControlEnd() }
        }
        for name in ["limits", "status", "io"] {
            let text = (try? String(contentsOfFile: "/proc/self/\(name)", encoding: .utf8)) ?? ""
            guard caller.send(SupportPart(part: "process-\(name).txt", text: text)) else { return ControlEnd() }
        }
        do {
            let text = try trace(min(max(0, request.messages), SupportRequest.limit), caller)
            _ = caller.send(SupportPart(part: "trace.jsonl", text: text))
            return ControlEnd()
        } catch {
            return ControlEnd(error: "the history cannot be read: \(error)")
        }
    }

    private var log: String { writer.recent.map { Redaction.text($0) }.joined() }

    private func trace(_ count: Int, _ caller: ControlCaller) throws -> String {
        var text = ""
        for id in try history.youngest(count) {
            let reports = try history.events(of: id).map { TraceReport($0) }
            let locals = Set(reports.flatMap(\.locals))
            for report in reports { text += JSONLine.text(report.redacted(locals)) + "\n" }
            // The other side takes lines up to 32 MB.
            if text.utf8.count > 8 << 20 || !caller.isThere() { break }
        }
        return text
    }
}
