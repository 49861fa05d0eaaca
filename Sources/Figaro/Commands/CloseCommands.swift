import ArgumentParser

extension CustomerCommand {
    /// `figaro customer close`
    struct Close: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take nothing more from a customer that is kept in the spool; its account stays.",
            discussion: """
                Its logins are refused with 535 5.7.8, its recipients with 550 5.7.1 “Account is closed”, in sessions \
                that are open as well. Its mail in the queue goes on; to stop that, hold it. It stays so over \
                restarts. A customer that the node's file declares is closed by taking it out of the file.

                Example:
                  figaro customer close acme --reason "unpaid since July, ticket 4714"

                Exit codes: 0 closed, 1 it was closed, or no relay answers, 64 wrong usage, 78 the configuration is \
                wrong.
                """)

        @OptionGroup var order: CustomerOrder

        func run() throws { try order.give { .account(AccountRequest(verb: .close, name: $0, reason: $1)) } }
    }

    /// `figaro customer reopen`
    struct Reopen: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a closed customer send again, with the logins and networks that it had.",
            discussion: """
                Example:
                  figaro customer reopen acme --reason "paid, ticket 4714"

                Exit codes: 0 reopened, 1 it was not closed, or no relay answers, 64 wrong usage, 78 the configuration \
                is wrong.
                """)

        @OptionGroup var order: CustomerOrder

        func run() throws { try order.give { .account(AccountRequest(verb: .reopen, name: $0, reason: $1)) } }
    }
}
