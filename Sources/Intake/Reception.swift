import Mail
import NIOCore
import Queue
import SMTP

/// One client's session as far as it is about mail: which customer it is, and what becomes of what it sends.
final class Reception: MailReceiver {
    let services: Services
    private(set) var place: ClientPlace
    /// Who may say for whom it speaks.
    private let namers: [IPNetwork]
    let loop: any EventLoop
    /// nil for strangers, and for who comes from a network of a customer that was closed.
    private(set) var customer: Customer?
    /// The name of that one.
    private var closedCustomer: String?
    /// The customer was closed while this session was open.
    private var isClosed = false
    /// What the customer may send from; nil for everything.
    private(set) var senders: SenderRight?
    /// What the client proved who it is with, if it has.
    private enum Proof {
        case login(Credential)
        case certificate(CertificateFingerprint)
    }

    private var proof: Proof?
    /// Of the customers, as of which `customer` is one of them.
    private var version: Int
    let offersLogin: Bool

    /// What was asked for at the first message of the client that it is of.
    private var askedName: EventLoopFuture<String?>?

    private var tally: CustomerTally?
    /// The customer has more sessions than it may.
    private var isTooMany = false
    /// What the transaction took of the customer's share.
    private var reservation = CustomerTally.Reservation()

    init(services: Services, client: IPAddress, namers: [IPNetwork], loop: any EventLoop) {
        self.services = services
        place = ClientPlace(client)
        self.namers = namers
        self.loop = loop
        version = services.customers.version
        let directory = services.customers.directory
        offersLogin = directory.hasLogins
        recognise(directory.customer(at: client), in: directory)
    }

    var client: IPAddress { place.address }

    /// The client's name, as filters are told it: what a load balancer says, or else the DNS. Asked for when the first
    /// message begins, and not at all where no filter is.
    var clientName: EventLoopFuture<String?> {
        if let askedName { return askedName }
        let finder = place.name == nil && place.isKnown ? services.nameFinder : nil
        let name = finder.map { ClientName.find(client, with: $0, on: loop) } ?? loop.makeSucceededFuture(place.name)
        askedName = name
        return name
    }

    var policy: ServerMachine.Policy {
        let configuration = services.configuration
        return ServerMachine.Policy(
            mayRelay: customer != nil, postmaster: configuration.postmaster,
            recipients: configuration.limits.recipients, errors: configuration.limits.errors,
            messageSize: min(configuration.limits.messageSize, customer?.limits.messageSize ?? .max),
            offersLogin: offersLogin, certified: isCertified ? customer?.name : nil,
            mayName: place.isKnown && namers.contains { $0.contains(client) },
            denial: closedCustomer == nil ? .relayDenied : .accountClosed)
    }

    var isCertified: Bool {
        if case .certificate = proof { true } else { false }
    }

    /// How the customer is known, where it is not by its address.
    var known: String? {
        switch proof {
        case .login(let credential): "login \(credential.user)"
        case .certificate(let print): "certificate \(print.brief)"
        case nil: nil
        }
    }

    /// - Parameter known: who the client is; nil for a stranger. Of a customer that was closed only the name is known.
    private func recognise(_ known: Customer?, in directory: CustomerDirectory) {
        isClosed = false
        closedCustomer = known.flatMap { $0.isClosed ? $0.name : nil }
        become(closedCustomer == nil ? known : nil, in: directory)
    }

    private func become(_ customer: Customer?, in directory: CustomerDirectory) {
        self.customer = customer
        senders = customer.flatMap { directory.senderRight(of: $0) }
        tally?.leave()
        tally = nil
        isTooMany = false
        guard let customer else { return }
        let tally = services.tallies.tally(of: customer.name)
        self.tally = tally
        isTooMany = tally.enter() > customer.limits.sessions ?? .max
    }

    // MARK: what may come in

    func admission() -> ServerReply? {
        if services.customers.version != version, let refusal = lookAgain() { return refusal }
        if isClosed { return .accountClosed }
        return switch services.queue.admission() {
        case .open: nil
        case .busy: .busy
        case .diskShort: .diskShort
        case .broken: .storeFailed
        case .closing: .shuttingDown
        }
    }

    func refusal(of sender: ReversePath) -> ServerReply? {
        if !reservation.isEmpty { tally?.giveBack(&reservation) }
        if isTooMany { return .tooManySessions }
        guard let senders, case .address(let address) = sender, !senders.covers(address) else { return nil }
        return .senderNotOwn
    }

    func refusal(ofRecipient recipient: ForwardPath) -> ServerReply? {
        guard let tally, let customer, customer.isLimited else { return nil }
        let (limits, now) = (customer.limits, services.time.now())
        var stranger: UInt64?
        if limits.newRecipientsPerDay != nil, case .address(let address, _) = recipient {
            stranger = services.recipients.stranger(address, to: customer.name, at: now)
        }
        return tally.take(limits, &reservation, stranger: stranger, at: now)
    }

    /// A message is whole: what it took of the customer's share is used, whatever becomes of it. Whoever does not wait
    /// for our answer has sent it all the same.
    func sent(_ recipients: Int, at now: Timestamp) {
        let strangers = reservation.strangers
        reservation = CustomerTally.Reservation()
        guard let tally, let name = customer?.name else { return }
        services.recipients.remember(strangers, of: name, at: now)
        guard let burst = tally.sent(recipients, at: now, services.configuration.burst) else { return }
        services.tallies.tell(name, burst)
    }

    /// Customers have changed: a login or certificate that was taken away is worth nothing from now on, and a customer
    /// that was closed may nothing. What else an address may is settled when its session begins.
    private func lookAgain() -> ServerReply? {
        version = services.customers.version
        let directory = services.customers.directory
        isClosed = customer.flatMap { directory.customer(named: $0.name) }?.isClosed ?? false
        guard let proof, !isClosed else { return nil }
        guard let owner = owner(of: proof, in: directory), owner.name == customer?.name ?? closedCustomer else {
            return .loginGone
        }
        recognise(owner, in: directory)
        return nil
    }

    private func owner(of proof: Proof, in directory: CustomerDirectory) -> Customer? {
        switch proof {
        case .login(let credential):
            directory.owner(of: credential.user).flatMap { $0.credential == credential ? $0.customer : nil }
        case .certificate(let print): directory.owner(of: [print])?.customer
        }
    }

    var wantsCertificate: Bool { services.customers.directory.hasCertificates }

    /// Whoever has a customer's certificate and its key is that customer, wherever it connects from; one that nobody
    /// has declared changes nothing.
    func shown(_ certificate: ClientCertificate) -> ServerMachine.Policy {
        version = services.customers.version
        let directory = services.customers.directory
        let prints = [certificate.octets, certificate.publicKey].map { CertificateFingerprint(of: $0) }
        if let owner = directory.owner(of: prints) {
            proof = .certificate(owner.certificate)
            recognise(owner.customer, in: directory)
        }
        return policy
    }

    /// What the load balancer itself is known by, its address and certificate, is worth nothing to whom it speaks for.
    func named(_ named: NamedClient) -> ServerMachine.LoginVerdict {
        version = services.customers.version
        let directory = services.customers.directory
        let owner = named.login.flatMap { directory.owner(of: $0) }
        guard named.login == nil || owner != nil else { return .refused(.namedLoginUnknown) }
        let other = place.moved(to: named)
        if let refusal = services.sessions.move(from: client, to: other.address) {
            services.log.refused(refusal, client: other.address, port: other.port, customer: nil)
            return .refused(refusal)
        }
        tally?.giveBack(&reservation)
        place = other
        askedName = nil
        proof = owner.map { .login($0.credential) }
        recognise(owner?.customer ?? (other.isKnown ? directory.customer(at: client) : nil), in: directory)
        return .accepted(policy)
    }

    func verify(_ login: Login, answer: @escaping (ServerMachine.LoginVerdict) -> Void) {
        version = services.customers.version
        let directory = services.customers.directory
        services.logins.check(login, from: client, in: directory, on: loop) { [self] outcome in
            switch outcome {
            case .owner(let customer, _) where customer.isClosed: answer(.refused(.loginClosed))
            case .owner(let customer, let credential):
                proof = .login(credential)
                recognise(customer, in: directory)
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
        // It is known by the time at which the content is.
        if services.filter != nil { _ = clientName }
        return message
    }

    func refused(_ reply: ServerReply) {
        services.log.refused(reply, client: client, port: place.port, customer: customer?.name ?? closedCustomer)
    }

    func ended(_ channel: any Channel) {
        tally?.giveBack(&reservation)
        tally?.leave()
        tally = nil
        services.sessions.remove(channel, client: client)
    }
}
