import Foundation
import Glibc
import Synchronization

/// The terminal while `figaro top` has it: a screen of its own, keys at once, and everything as it was afterwards.
final class TopTerminal: Sendable {
    private struct State {
        var saved: termios
        var report: TopReport?
        var isOver = false
    }

    private let state: Mutex<State>

    /// nil where standard input or output is no terminal.
    static func open() -> TopTerminal? {
        var saved = termios()
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1, tcgetattr(STDIN_FILENO, &saved) == 0 else {
            return nil
        }
        return TopTerminal(saved)
    }

    private init(_ saved: termios) {
        var raw = saved
        // Keys come one by one and are not shown; Ctrl-C and Ctrl-Z come as keys, so that the screen is put back first.
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        state = Mutex(State(saved: saved))
        Self.write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J")
        watchSignals()
        Thread { [self] in
            var key: UInt8 = 0
            while read(STDIN_FILENO, &key, 1) == 1 {
                // q, Q, Ctrl-C, Ctrl-D
                if [113, 81, 3, 4].contains(key) { leave(0) }
            }
            leave(0)
        }.start()
    }

    /// Blocked in every thread that is made from here on, and waited for by one.
    private func watchSignals() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGWINCH, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let waited = signals
        Thread { [self] in
            var signal: Int32 = 0
            while withUnsafePointer(to: waited, { sigwait($0, &signal) }) == 0 {
                if signal == SIGWINCH { redraw() } else { leave(128 + signal) }
            }
        }.start()
    }

    func show(_ report: TopReport) {
        state.withLock { state in
            state.report = report
            Self.draw(state)
        }
    }

    private func redraw() { state.withLock { Self.draw($0) } }

    private static func draw(_ state: borrowing State) {
        guard !state.isOver, let report = state.report else { return }
        let (width, height) = size()
        let lines = TopScreen(report: report).lines(width: width, height: height - 1)
        // Each line clears what is left of the old one, so that nothing flickers; then what is below.
        write("\u{1B}[H" + lines.map { $0 + "\u{1B}[K\r\n" }.joined() + "\u{1B}[Jq ends it")
    }

    /// Columns and rows; 80 and 24 where the terminal does not tell.
    private static func size() -> (Int, Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Puts everything back; done once.
    func restore() {
        state.withLock { state in
            guard !state.isOver else { return }
            state.isOver = true
            Self.write("\u{1B}[?25h\u{1B}[?1049l")
            tcsetattr(STDIN_FILENO, TCSANOW, &state.saved)
        }
    }

    private func leave(_ code: Int32) {
        restore()
        exit(code)
    }

    private static func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            while start < bytes.count {
                let count = Glibc.write(STDOUT_FILENO, bytes.baseAddress.map { $0 + start }, bytes.count - start)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                start += count
            }
        }
    }
}
