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
    /// nil for strangers.
    let customer: String?
    let loop: any EventLoop

    init(services: Services, client: IPAddress, loop: any EventLoop) {
        self.services = services
        self.client = client
        clientText = client.isIPv4 ? "[\(client)]" : "[IPv6:\(client)]"
        self.loop = loop
        customer = services.customers.name(for: client)
    }

    var policy: ServerMachine.Policy {
        let configuration = services.configuration
        return ServerMachine.Policy(
            mayRelay: customer != nil, postmaster: configuration.postmaster,
            recipients: configuration.limits.recipients, errors: configuration.limits.errors,
            messageSize: configuration.limits.messageSize)
    }

    func admission() -> ServerReply? {
        switch services.queue.admission() {
        case .open: nil
        case .busy: .busy
        case .diskShort: .diskShort
        case .broken: .storeFailed
        case .closing: .shuttingDown
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
        services.log.refused(reply, client: client, customer: customer)
    }

    func ended(_ channel: any Channel) {
        services.sessions.remove(channel, client: client)
    }
}
