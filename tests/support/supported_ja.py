"""The words of the tables of docs/ja/supported.md: for each English one of the features, the Japanese one."""

from __future__ import annotations

from typing import Final

HEADS: Final = {
    "what": "内容",
    "where": "場所",
    "document": "文書",
    "mechanism": "方式",
    "what is said": "表示される注記",
}
WAYS: Final = {"initial response": "初期応答", "asked for": "求めに応じて"}
SOURCES: Final = {
    "by content": "内容による",
    "Google's XOAUTH2": "Google の XOAUTH2",
    "RFC 2231, 3 and 4": "RFC 2231, 3 と 4",
    "any port": "任意のポート",
}
LOGINS: Final = {
    "lower case": "小文字のコマンド",
    "a password in UTF-8": "UTF-8 のパスワード",
    "a password in Latin-1": "Latin-1 のパスワード",
    "several logins in one connection": "一つの接続での複数のログイン",
    "several commands in one segment": "一つのセグメントに入った複数のコマンド",
    "a user name alone": "ユーザー名だけ",
    "APOP, with its challenge": "APOP(チャレンジも)",
    "an authorization identity": "認可 ID",
    "mechanism and command in lower case": "小文字の方式名とコマンド",
    "a cancelled exchange is a note": "取り消されたやり取り(注記になる)",
    "a mechanism that cannot be read is a note": "読めない方式(注記になる)",
    "a bare + as the server's challenge": "サーバーのチャレンジが + だけのもの",
    "an empty line before the first command": "最初のコマンドの前の空行",
    "a login after IDLE": "IDLE の後のログイン",
    "COMPRESS, refused: what follows is heard": "断られた COMPRESS(続きも聞き取る)",
    "LOGIN with atoms": "LOGIN、アトム",
    "LOGIN with quoted strings and escapes": "LOGIN、引用文字列とエスケープ",
    "LOGIN with literals": "LOGIN、リテラル",
    "LOGIN with LITERAL+": "LOGIN、LITERAL+",
}
MAIL: Final = {
    "envelope, each recipient accepted or refused, so that Bcc shows": (
        "エンベロープ。宛先ごとの受理と拒否も(だから Bcc が見える)"
    ),
    "dot-stuffing undone": "行頭のドットを元に戻す(dot-stuffing)",
    "commands inside a mail are text": "メールの中のコマンドは、ただの文章",
    "BDAT, pipelined chunks and a zero-length LAST": "BDAT、続けて送られたチャンクと長さ 0 の LAST",
    "BDAT, a size larger than what came": "BDAT、届いた分より大きいサイズ",
    "BDAT without a size": "サイズのない BDAT",
    "pipelining": "パイプライン",
    "RSET between two transactions": "トランザクションの間の RSET",
    "a nested MAIL, refused": "断られた、二重の MAIL",
    "a refused transaction": "断られたトランザクション",
    "DATA, refused: what follows is a command": "断られた DATA(続きはコマンド)",
    "several mails in one connection": "一つの接続での複数のメール",
    "the null sender": "空の差出人",
    "LMTP, a verdict for each recipient": "LMTP、宛先ごとの結果",
    "RETR without an octet count": "オクテット数のない RETR",
    "RETR with a wrong octet count": "オクテット数の正しくない RETR",
    "pipelined RETRs, replies and mails in one segment": (
        "続けて送られた RETR。応答とメールが一つのセグメントに入ったもの"
    ),
    "replies and commands inside a mail are text": "メールの中の応答とコマンドは、ただの文章",
    "header and text fetched apart, joined": "別々に取り出されたヘッダーと本文(つなぐ)",
    "partial fetches, joined": "部分ごとの取り出し(つなぐ)",
    "part by part, with its MIME header": "パートごとの取り出し(MIME ヘッダーも)",
    "what is fetched apart is not joined across mailboxes": "別々に取り出されたものは、メールボックスをまたいでつながない",
    "what is fetched apart is not joined across EXPUNGE": "別々に取り出されたものは、EXPUNGE をまたいでつながない",
    "APPEND with LITERAL+": "LITERAL+ の APPEND",
    "COMPRESS: a note, nothing behind it is read": "COMPRESS(注記になる。その先は読まない)",
}
CONTENT: Final = {
    "unlabelled UTF-8": "文字セットの表示がない UTF-8",
    "unlabelled ISO-2022-JP": "文字セットの表示がない ISO-2022-JP",
    "unlabelled bytes of no charset, as escapes": "表示がなく、どの文字セットでもないバイト(エスケープで表す)",
    "encoded words in the subject": "件名の符号化語(encoded-word)",
    "HTML alone, as text": "HTML だけのメール(文章として)",
    "nested parts; plain text before HTML; an attachment": "入れ子のパート。HTML より平文を優先。添付ファイル",
    "an attachment's name by RFC 2231, in pieces": "RFC 2231 の、分けて書かれた添付ファイル名",
    "an attachment's name as an encoded word": "符号化語の添付ファイル名",
    "an attached mail": "添付されたメール",
}
WIRE: Final = {
    "Ethernet with a VLAN tag": "VLAN タグ付きの Ethernet",
    "Ethernet with two tags (QinQ)": "タグが二つの Ethernet(QinQ)",
    "raw IP": "生の IP",
    "options": "オプション",
    "fragments": "フラグメント",
    "extension headers": "拡張ヘッダー",
    "out of order": "順序の入れ替わり",
    "every packet seen twice": "どのパケットも二度見えるキャプチャ",
    "overlapping segments": "重なり合うセグメント",
    "overlapping segments that differ: the first copy counts, and it is said": (
        "重なり合い、中身の違うセグメント(先に来たほうを採り、そう知らせる)"
    ),
    "one byte a segment": "1 バイトずつのセグメント",
    "sequence numbers that wrap": "一周するシーケンス番号",
    "a reused port": "使い回されたポート",
    "data on the SYN": "SYN に載ったデータ",
    "no FIN": "FIN なし",
    "a reset": "リセット",
    "segments of an earlier connection between the same ports: passed over": (
        "同じポートの間の、前の接続のセグメント(読み飛ばす)"
    ),
    "a reset that the ends ignore: passed over": "両端が無視するリセット(読み飛ばす)",
    "no SYN: the capture started late": "SYN なし。途中から始まったキャプチャ",
    "no SYN, two odd ports, the server's the higher: told by what they say": (
        "SYN なし。どちらも本来と違うポートで、サーバーのほうが大きい(話す内容で見分ける)"
    ),
    "no SYN, in the middle of a message": "SYN なし。メールの途中から",
    "no SYN, the client's half alone": "SYN なし。クライアントの側だけ",
    "a hole": "欠落",
    "snaplen cuts": "スナップ長で切られたパケット",
    "a snaplen that cuts the greeting and leaves the login": "スナップ長で最初の挨拶は切られ、ログインは残ったもの",
}
RECOGNITION: Final = {
    "POP3 on an odd port": "本来と違うポートの POP3",
    "SMTP on an odd port": "本来と違うポートの SMTP",
    "IMAP on an odd port": "本来と違うポートの IMAP",
    "behind a load balancer that names the client first": "最初にクライアントを知らせるロードバランサーの後ろ",
    "not mistaken: another site's login form": "取り違えないもの: ほかのサイトのログインフォーム",
    "not mistaken: FTP": "取り違えないもの: FTP",
    "not mistaken: Redis": "取り違えないもの: Redis",
    "not mistaken: HTTP": "取り違えないもの: HTTP",
    "not mistaken: NNTP": "取り違えないもの: NNTP",
    "not mistaken: IRC": "取り違えないもの: IRC",
    "not mistaken: a mail body that says PASS x": "取り違えないもの: PASS x と書かれたメール本文",
    "Roundcube's login form": "Roundcube のログインフォーム",
    "SquirrelMail's login form": "SquirrelMail のログインフォーム",
    "Horde's login form": "Horde のログインフォーム",
    "username, user, login or email with password, passwd or pass, where the path names a webmail": (
        "username、user、login、email のどれかと password、passwd、pass のどれか(パスがウェブメールの名のとき)"
    ),
    "the same, where a cookie is a webmail's": "同じもの(クッキーがウェブメールのもののとき)",
    "a page that shows a mail: header cells, message part": "メールを見せるページ(見出しの欄と本文の部分)",
    "a mail's source": "メールのソース",
    "on an odd port": "本来と違うポート",
    "POP3, implicit": "POP3、最初から TLS",
    "SMTP, implicit": "SMTP、最初から TLS",
    "IMAP, implicit": "IMAP、最初から TLS",
    "server half only": "サーバーの側だけ",
    "a connection without data": "データのない接続",
    "a connection without a login": "ログインのない接続",
    "an unknown protocol on a mail port": "メール用のポートの、知らないプロトコル",
    "no TCP": "TCP なし",
    "no packets": "パケットなし",
    "an unknown link type": "知らないリンク層の種別",
    "packets cut within their headers": "ヘッダーの途中で切られたパケット",
    "what is not TLS after the upgrade": "TLS への切り替えの後の、TLS でないもの",
}
WORDS: Final = HEADS | WAYS | SOURCES | LOGINS | MAIL | CONTENT | WIRE | RECOGNITION
# Whether a name says what the charset or the encoding of a text is.
LABELLED: Final = {
    ", labelled, in base64": "、表示あり、base64",
    ", labelled, in 8 bits": "、表示あり、8 ビット",
}


def japanese(text: str) -> str:
    """Return a word of the tables in Japanese; names of protocols, commands and documents stay what they are."""
    for ending, translated in LABELLED.items():
        if text.endswith(ending):
            return text.removesuffix(ending) + translated
    return WORDS.get(text, text)
