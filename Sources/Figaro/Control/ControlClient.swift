import Glibc

/// A command's side of the control socket.
enum ControlClient {
    /// Why there is no answer, in words for the person who asked.
    struct NoAnswer: Error, CustomStringConvertible {
        var description: String
    }

    /// Octets of a line of an answer: a message to 100,000 recipients fits.
    private static let lineLimit = 32 << 20
    /// Between two lines, progress among them.
    private static let timeout = 60

    /// Asks and hands out each line as it comes; progress goes to whoever sits at the terminal.
    ///
    /// - Returns: how it ended; its `error` has been thrown already.
    static func ask(
        _ request: ControlRequest, at path: String, _ line: (String) -> Void
    ) throws(NoAnswer) -> ControlEnd {
        let socket: Int32
        do throws(UnixSocket.Failure) {
            socket = try UnixSocket.make()
        } catch {
            throw NoAnswer(description: "cannot ask: \(error.reason)")
        }
        defer { close(socket) }
        do throws(UnixSocket.Failure) {
            try UnixSocket.connect(socket, to: path)
        } catch {
            throw unreachable(path, error)
        }
        UnixSocket.setTimeout(socket, seconds: timeout)
        guard UnixSocket.send(socket, JSONLine.text(request) + "\n") else {
            throw NoAnswer(description: "the relay on \(path) does not take the request")
        }
        var reader = LineReader(socket: socket, limit: lineLimit)
        while case .line(let text) = reader.next() {
            guard let end = JSONLine.value(ControlEnd.self, from: text) else {
                if let progress = JSONLine.value(ControlProgress.self, from: text) {
                    Terminal.complain(Visible.text(progress.progress))
                } else {
                    line(text)
                }
                continue
            }
            if let error = end.error { throw NoAnswer(description: error) }
            return end
        }
        throw NoAnswer(description: "the relay on \(path) broke off its answer")
    }

    private static func unreachable(_ path: String, _ failure: UnixSocket.Failure) -> NoAnswer {
        switch failure.code {
        case ENOENT, ECONNREFUSED:
            NoAnswer(
                description: "no relay is running on \(path); start one with `figaro serve`, or name the other one's "
                    + "configuration with --config")
        case EACCES, EPERM:
            NoAnswer(description: "no permission for \(path); ask as root, as the relay's user or in its group")
        default:
            NoAnswer(description: "cannot reach the relay on \(path): \(failure.reason)")
        }
    }
}
