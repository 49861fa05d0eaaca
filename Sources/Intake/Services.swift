import Filtering
import Mail
import NIOCore
import Queue

/// What every session shares.
final class Services: Sendable {
    let configuration: Configuration
    let customers: CurrentCustomers
    let logins: LoginDesk
    let tallies: CustomerTallies
    let recipients: KnownRecipients
    let queue: any AcceptedMail
    let contentFiles: any ContentFiles
    let ids: MessageID.Generator
    let time: any TimeSource
    let log: RefusalLog
    let sessions: SessionTable
    /// nil: mail passes on unasked.
    let filter: Filter?
    /// For filters; nil: they are told no names.
    let nameFinder: ClientNameFinder?

    init(
        configuration: Configuration, customers: CurrentCustomers, logins: LoginDesk, tallies: CustomerTallies,
        recipients: KnownRecipients, queue: any AcceptedMail, contentFiles: any ContentFiles, ids: MessageID.Generator,
        time: any TimeSource, log: RefusalLog, sessions: SessionTable, filter: Filter?, nameFinder: ClientNameFinder?
    ) {
        self.filter = filter
        self.nameFinder = nameFinder
        self.configuration = configuration
        self.customers = customers
        self.logins = logins
        self.tallies = tallies
        self.recipients = recipients
        self.queue = queue
        self.contentFiles = contentFiles
        self.ids = ids
        self.time = time
        self.log = log
        self.sessions = sessions
    }

    func with(_ configuration: Configuration, _ filter: Filter?) -> Services {
        Services(
            configuration: configuration, customers: customers, logins: logins, tallies: tallies,
            recipients: recipients, queue: queue, contentFiles: contentFiles, ids: ids, time: time, log: log,
            sessions: sessions, filter: filter, nameFinder: nameFinder)
    }
}
