import Mail
import NIOCore
import Queue
import SMTP

/// One client's session as far as it is about mail: which customer it is, and what becomes of what it sends.
final class Reception: MailReceiver {
    let services: Services
    let client: IPAddress
    /// Written once a session, used in every message.
    let clientText: String
    let loop: any EventLoop
    /// nil for strangers.
    private(set) var customer: Customer?
    /// What the client proved who it is with.
    private var credential: Credential?
    /// Of the customers, as of which `customer` is one of them.
    private var version: Int
    let offersLogin: Bool

    init(services: Services, client: IPAddress, loop: any EventLoop) {
        self.services = services
        self.client = client
        clientText = client.isIPv4 ? "[\(client)]" : "[IPv6:\(client)]"
        self.loop = loop
        version = services.customers.version
        let directory = services.customers.directory
        customer = directory.customer(at: client)
        offersLogin = directory.hasLogins
    }

    var policy: ServerMachine.Policy {
        let configuration = services.configuration
        return ServerMachine.Policy(
            mayRelay: customer != nil, postmaster: configuration.postmaster,
            recipients: configuration.limits.recipients, errors: configuration.limits.errors,
            messageSize: configuration.limits.messageSize, offersLogin: offersLogin)
    }

    func admission() -> ServerReply? {
        if services.customers.version != version, let refusal = lookAgain() { return refusal }
        return switch services.queue.admission() {
        case .open: nil
        case .busy: .busy
        case .diskShort: .diskShort
        case .broken: .storeFailed
        case .closing: .shuttingDown
        }
    }

    /// Customers have changed: a login that was revoked is worth nothing from now on. What an address may is settled
    /// when its session begins.
    private func lookAgain() -> ServerReply? {
        version = services.customers.version
        guard let credential else { return nil }
        guard let owner = services.customers.directory.owner(of: credential.user), owner.credential == credential,
            owner.customer.name == customer?.name
        else { return .loginGone }
        customer = owner.customer
        return nil
    }

    func verify(_ login: Login, answer: @escaping (ServerMachine.LoginVerdict) -> Void) {
        version = services.customers.version
        services.logins.check(login, from: client, in: services.customers.directory, on: loop) { [self] outcome in
            switch outcome {
            case .owner(let customer, let credential):
                self.customer = customer
                self.credential = credential
                answer(.accepted(policy))
            case .refused(let reply): answer(.refused(reply))
            }
        }
    }

    func begin(
        _ envelope: Envelope, _ facts: ServerSessionFacts, content: inout ByteBuffer, drained: @escaping () -> Void
    ) -> any MessageSink {
        let message = MessageInProgress(reception: self, envelope: envelope, facts: facts, drained: drained)
        message.writeReceived(to: &content)
        return message
    }

    func refused(_ reply: ServerReply) {
        services.log.refused(reply, client: client, customer: customer?.name)
    }

    func ended(_ channel: any Channel) {
        services.sessions.remove(channel, client: client)
    }
}
