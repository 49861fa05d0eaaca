import Glibc
import Mail
import NIOCore

/// For commands, which have nothing else to do than wait.
extension UnboundContext {
    /// Questions on the way at a time.
    private static let underWay = 256

    /// Asks all of them, on the caller's thread; blocks.
    ///
    /// - Parameter timeout: for each question; from 1 ms to 10 minutes.
    /// - Returns: in the order of the questions; those without an answer in time have failed.
    func answers(to questions: [Question], within timeout: Timestamp.Span) -> [Lookup] {
        let timeout = TimeAmount.milliseconds(max(1, min(timeout.milliseconds, 600_000)))
        var answers = [Lookup](repeating: .failed("no answer in time"), count: questions.count)
        var waiting: [UInt: (index: Int, until: NIODeadline)] = [:]
        var next = 0
        while next < questions.count || !waiting.isEmpty {
            while waiting.count < Self.underWay, next < questions.count {
                if let ticket = ask(questions[next]) { waiting[ticket] = (next, .now() + timeout) }
                next += 1
            }
            var ready = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
            _ = poll(&ready, 1, 100)
            for (ticket, lookup) in process() {
                if let question = waiting.removeValue(forKey: ticket) { answers[question.index] = lookup }
            }
            let now = NIODeadline.now()
            for (ticket, question) in waiting where question.until <= now {
                cancel(ticket)
                waiting[ticket] = nil
            }
        }
        return answers
    }
}
