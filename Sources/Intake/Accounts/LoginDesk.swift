import Crypto
import FoundationEssentials
import Mail
import NIOCore
import Queue
import SMTP
import Synchronization

/// Finds out whether a login is right, on threads of its own: a look at a password takes tens of milliseconds and
/// megabytes, so only so many are made at once, and only so many wait.
///
/// A password that was right is known again by a keyed digest in memory: the mailserver that logs in for every session
/// costs one hash a run, and is let in at once while others guess.
final class LoginDesk: Sendable {
    enum Outcome {
        case owner(Customer, Credential)
        case refused(ServerReply)
    }

    struct Settings {
        /// Looks at once.
        var threads = 2
        /// Looks that may wait, in all and of one address.
        var waiting = 32
        var waitingPerClient = 8
        var brake = LoginBrake.Settings()
    }

    private struct Look: Sendable {
        var login: Login
        var client: IPAddress
        var found: (customer: Customer, credential: Credential)?
        var loop: any EventLoop
        var answer: NIOLoopBound<(Outcome) -> Void>
    }

    /// What becomes of a login before anybody has looked at its password.
    private enum Ruling {
        case isKnown(Customer, Credential)
        case refused(ServerReply)
        case waits
    }

    private struct State {
        var brake: LoginBrake
        var waiting: [Look] = []
        var perClient: [IPAddress: Int] = [:]
        var working = 0
        /// By user: what the right password comes to under `key`, and under which hash.
        var known: [String: Known] = [:]
    }

    private struct Known {
        var hash: PasswordHash
        var digest: [UInt8]
    }

    private let settings: Settings
    private let log: RefusalLog
    private let state: Mutex<State>
    /// Made anew with every start, so that digests are worth nothing outside this process.
    private let key = SymmetricKey(size: .bits256)
    /// What the password of an account that does not exist is compared with, so that it takes as long.
    private let decoy = PasswordHash.decoy

    init(log: RefusalLog, _ settings: Settings = Settings()) {
        self.log = log
        self.settings = settings
        state = Mutex(State(brake: LoginBrake(settings.brake)))
    }

    /// - Parameter answer: called once, on `loop`, which is the caller's: now, or later.
    func check(
        _ login: Login, from client: IPAddress, in directory: CustomerDirectory, on loop: any EventLoop,
        answer: @escaping (Outcome) -> Void
    ) {
        let found = directory.owner(of: login.username)
        let digest = digest(login.password)
        let now = NIODeadline.now()
        let look = Look(
            login: login, client: client, found: found, loop: loop, answer: NIOLoopBound(answer, eventLoop: loop))
        let ruling = state.withLock { state -> Ruling in
            if let found, let known = state.known[login.username], known.hash == found.credential.password,
                PasswordHash.isSame(known.digest, digest)
            {
                state.brake.succeeded(login.username, from: client, at: now)
                return .isKnown(found.customer, found.credential)
            }
            guard state.waiting.count < settings.waiting,
                state.perClient[client, default: 0] < settings.waitingPerClient
            else { return .refused(.loginBusy) }
            guard state.brake.hears(login.username, from: client, at: now) else { return .refused(.tooManyLogins) }
            state.perClient[client, default: 0] += 1
            // Whoever has been here before does not stand behind those who guess.
            if state.brake.isFriend(login.username, client, at: now) {
                state.waiting.insert(look, at: 0)
            } else {
                state.waiting.append(look)
            }
            return .waits
        }
        switch ruling {
        case .isKnown(let customer, let credential): answer(.owner(customer, credential))
        case .refused(let reply): answer(.refused(reply))
        case .waits: beginWork()
        }
    }

    /// Addresses that accounts have logged in from since this was asked last.
    func takeFriends() -> [KnownLogin] { state.withLock { $0.brake.takeFriends() } }

    /// Goes on with those of an earlier run.
    func welcome(_ friends: [KnownLogin]) { state.withLock { $0.brake.welcome(friends, at: .now()) } }

    private func beginWork() {
        let isNeeded = state.withLock { state in
            guard state.working < settings.threads, !state.waiting.isEmpty else { return false }
            state.working += 1
            return true
        }
        guard isNeeded else { return }
        Task { await OwnThread.run { [self] in work() } }
    }

    /// Until nobody waits.
    private func work() {
        while true {
            let look = state.withLock { state -> Look? in
                guard !state.waiting.isEmpty else {
                    state.working -= 1
                    return nil
                }
                return state.waiting.removeFirst()
            }
            guard let look else { return }
            settle(look, Result { try (look.found?.credential.password ?? decoy).matches(look.login.password) })
        }
    }

    private func settle(_ look: Look, _ result: Result<Bool, any Error>) {
        let now = NIODeadline.now()
        let (user, client) = (look.login.username, look.client)
        let isRight: Bool? =
            switch result {
            case .success(let matches): matches && look.found != nil
            case .failure: nil
            }
        let digest = isRight == true ? digest(look.login.password) : []
        let delay = state.withLock { state -> TimeAmount in
            let count = state.perClient[client, default: 1] - 1
            state.perClient[client] = count > 0 ? count : nil
            switch isRight {
            case true:
                state.brake.succeeded(user, from: client, at: now)
                if let found = look.found {
                    state.known[user] = Known(hash: found.credential.password, digest: digest)
                }
                return .zero
            case false: return state.brake.failed(look.found == nil ? nil : user, from: client, at: now)
            default: return .zero
            }
        }
        switch (isRight, look.found) {
        case (true, .some(let found)):
            look.loop.execute { look.answer.value(.owner(found.customer, found.credential)) }
        case (false, _):
            log.loginFailed(client: client, user: look.found.map { _ in user }, customer: look.found?.customer.name)
            look.loop.scheduleTask(in: delay) { look.answer.value(.refused(.loginRefused)) }
        default:
            look.loop.execute { look.answer.value(.refused(.loginBusy)) }
        }
    }

    private func digest(_ password: String) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(password.utf8), using: key))
    }
}
