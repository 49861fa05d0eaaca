import Glibc

/// The other side of one command: who asks, and the way back to them.
struct ControlCaller: Sendable {
    /// As history and log name them: `root (uid 0)`.
    let name: String
    /// Sends one line; false when nobody reads any more.
    let send: @Sendable (String) -> Bool
    /// Whether somebody still waits, and the relay goes on; long work asks now and then, and ends where it is not.
    let isThere: @Sendable () -> Bool

    init(
        name: String, isThere: @escaping @Sendable () -> Bool = { true }, send: @escaping @Sendable (String) -> Bool
    ) {
        self.name = name
        self.isThere = isThere
        self.send = send
    }

    /// - Parameter isStopping: the relay goes down.
    init(socket: Int32, isStopping: @escaping @Sendable () -> Bool) {
        name = Self.user(of: socket)
        isThere = { !isStopping() && UnixSocket.isOpen(socket) }
        send = { UnixSocket.send(socket, $0 + "\n") }
    }

    /// Sends one value as a line.
    func send(_ value: some Encodable) -> Bool { send(JSONLine.text(value)) }

    /// Tells how far long work has come; at least every 30 s, or a command takes the relay for stuck.
    func progress(_ text: String) -> Bool { send(ControlProgress(progress: Visible.text(text))) }

    private static func user(of socket: Int32) -> String {
        guard let id = UnixSocket.peer(socket) else { return "unknown" }
        guard let name = UserAccount.name(of: id) else { return "uid \(id)" }
        return "\(name) (uid \(id))"
    }
}
