import Mail
import SMTP
import Testing

/// One line of a client and what it is.
struct CommandFixture: CustomTestStringConvertible, Sendable {
    var line: String
    var expected: Result<Command, CommandFault>

    init(_ line: String, _ command: Command) {
        self.line = line
        expected = .success(command)
    }

    init(_ line: String, fault: CommandFault) {
        self.line = line
        expected = .failure(fault)
    }

    var testDescription: String { line.debugDescription }

    func check() {
        Array(line.utf8).withUnsafeBytes { bytes in
            let found: Result<Command, CommandFault>
            do throws(CommandFault) {
                found = .success(try CommandParser.parse(bytes))
            } catch {
                found = .failure(error)
            }
            #expect(found == expected)
        }
    }
}

/// MAIL FROM, shortened for tables.
func mail(
    _ sender: ReversePath, nonASCII: Bool = false, size: Int? = nil, eightBit: Bool = false, utf8: Bool = false
) -> Command {
    var command = MailCommand(sender: sender)
    command.nonASCII = nonASCII
    command.size = size
    command.eightBit = eightBit
    command.smtpUTF8 = utf8
    return .mail(command)
}

func address(_ localPart: String, _ domain: String) -> Address {
    Address(localPart: localPart, domain: domain)
}
