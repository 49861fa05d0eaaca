import Foundation
import Glibc
import Logging
import Queue
import Synchronization

/// Answers commands on a Unix socket, on threads of its own: what is asked reads the store and blocks.
///
/// Who may ask is decided by the file's permissions: its owner and its group.
final class ControlServer: Sendable {
    /// Answers a request line by line and tells how it ended.
    typealias Answer = @Sendable (ControlRequest, ControlCaller) -> ControlEnd

    /// Why the socket cannot be served, in words for the operator.
    struct CannotServe: Error, CustomStringConvertible {
        var description: String
    }

    /// Commands at a time; people and scripts, not customers.
    private static let connections = 8
    /// A command sends its request at once, and reads its answer.
    private static let timeout = 10

    private let path: String
    private let answer: Answer
    private let logger: Logger
    private let listener: Int32
    private let active = Mutex(0)
    private let isStopping = Mutex(false)
    private let finished = DispatchSemaphore(value: 0)

    /// Takes the socket; privileges may be dropped after it.
    ///
    /// - Parameter owner: whom the socket shall belong to; nil leaves it to whoever starts the relay.
    init(path: String, owner: UserAccount?, logger: Logger, answer: @escaping Answer) throws(CannotServe) {
        self.path = path
        self.answer = answer
        self.logger = logger
        do throws(UnixSocket.Failure) {
            try Self.prepareFolder(of: path, owner: owner)
            try Self.removeStale(path)
            listener = try Self.listen(at: path, owner: owner)
        } catch {
            throw CannotServe(
                description: error.code == EADDRINUSE
                    ? "another relay is running on \(path)" : "cannot serve commands on \(path): \(error.reason)")
        }
    }

    func start() {
        let thread = Thread {
            ThreadName.set("figaro-control")
            self.accept()
        }
        thread.start()
    }

    /// Takes no more requests and removes the socket. Blocks until the accepting thread has ended.
    func stop() {
        let wasStopping = isStopping.withLock { stopping in
            defer { stopping = true }
            return stopping
        }
        guard !wasStopping else { return }
        unlink(path)
        shutdown(listener, Int32(SHUT_RDWR))
        finished.wait()
        close(listener)
    }

    private func accept() {
        while !isStopping.withLock({ $0 }) {
            let socket = Glibc.accept(listener, nil, nil)
            guard socket >= 0 else {
                // Out of descriptors: a moment later there may be one.
                if errno == EMFILE || errno == ENFILE || errno == ENOMEM { usleep(100_000) }
                continue
            }
            UnixSocket.setTimeout(socket, seconds: Self.timeout)
            let isFree = active.withLock { active in
                guard active < Self.connections else { return false }
                active += 1
                return true
            }
            guard isFree else {
                _ = UnixSocket.send(socket, JSONLine.text(ControlEnd(error: "too many commands at once")) + "\n")
                close(socket)
                continue
            }
            Thread {
                self.serve(socket)
                close(socket)
                self.active.withLock { $0 -= 1 }
            }.start()
        }
        finished.signal()
    }

    private func serve(_ socket: Int32) {
        var reader = LineReader(socket: socket, limit: ControlRequest.lineLimit)
        let end: ControlEnd
        switch reader.next() {
        case .line(let line):
            if let request = JSONLine.value(ControlRequest.self, from: line) {
                let caller = ControlCaller(socket: socket) { self.isStopping.withLock { $0 } }
                logger.debug("command", metadata: ["command": "\(request.name)", "by": "\(caller.name)"])
                end = answer(request, caller)
            } else {
                end = ControlEnd(error: "not a request that this version knows")
            }
        case .tooLong: end = ControlEnd(error: "the request is too long")
        case .end, .broken: return
        }
        _ = UnixSocket.send(socket, JSONLine.text(end) + "\n")
    }
}

extension ControlServer {
    private static func prepareFolder(of path: String, owner: UserAccount?) throws(UnixSocket.Failure) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let folder = String(path[..<slash])
        guard mkdir(folder, 0o750) == 0 else {
            if errno == EEXIST { return }
            throw UnixSocket.Failure()
        }
        // The group may ask, whatever the umask.
        guard chmod(folder, 0o750) == 0 else { throw UnixSocket.Failure() }
        if let owner, geteuid() == 0, chown(folder, owner.user, owner.group) != 0 { throw UnixSocket.Failure() }
    }

    /// A socket that nobody listens on any more was left by a crash.
    static func removeStale(_ path: String) throws(UnixSocket.Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw UnixSocket.Failure()
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw UnixSocket.Failure(ENOTSOCK) }
        let socket = try UnixSocket.make()
        defer { close(socket) }
        do throws(UnixSocket.Failure) {
            try UnixSocket.connect(socket, to: path)
        } catch {
            guard error.code == ECONNREFUSED else { throw error }
            if unlink(path) != 0, errno != ENOENT { throw UnixSocket.Failure() }
            return
        }
        throw UnixSocket.Failure(EADDRINUSE)
    }

    private static func listen(at path: String, owner: UserAccount?) throws(UnixSocket.Failure) -> Int32 {
        let socket = try UnixSocket.make()
        do throws(UnixSocket.Failure) {
            try UnixSocket.bind(socket, to: path)
            // Between bind and listen nobody can connect, so nobody slips in before the permissions stand.
            guard chmod(path, 0o660) == 0 else { throw UnixSocket.Failure() }
            if let owner, geteuid() == 0, chown(path, owner.user, owner.group) != 0 { throw UnixSocket.Failure() }
            guard Glibc.listen(socket, 16) == 0 else { throw UnixSocket.Failure() }
            return socket
        } catch {
            close(socket)
            throw error
        }
    }
}
