"""XML from the engine: guarded, and as JSON."""

import pytest

from orrery.cli import tree
from orrery.cli.failure import CommandFailed


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<?xml version="1.0"?><!DOCTYPE a><a/>',
        "no xml",
        "",
        "<!-- --><a/>",
    ],
)
def test_documents_with_a_type_are_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="not the XML"):
        tree.parse(text)


def test_broken_document_is_refused() -> None:
    with pytest.raises(CommandFailed, match="well-formed"):
        tree.parse("<a><b></a>")


def test_declaration_and_cdata_are_read() -> None:
    root = tree.parse('<?xml version="1.0"?>\n<VM><NAME><![CDATA[<!DOCTYPE x>]]></NAME></VM>')
    assert tree.value(root, "NAME") == "<!DOCTYPE x>"


def test_pools_are_lists_whatever_their_length() -> None:
    one = tree.parse("<VM_POOL><VM><ID>1</ID></VM></VM_POOL>")
    assert tree.document(one) == {"VM_POOL": {"VM": [{"ID": "1"}]}}
    assert tree.document(tree.parse("<VM_POOL/>")) == {"VM_POOL": {"VM": []}}


def test_leaf_with_the_name_of_a_list_stays_text() -> None:
    host = tree.parse("<HOST><CLUSTER>default</CLUSTER><VMS><ID>4</ID></VMS><CLUSTERS/></HOST>")
    assert tree.document(host) == {
        "HOST": {"CLUSTER": "default", "VMS": {"ID": ["4"]}, "CLUSTERS": {"ID": []}}
    }


def test_tag_that_comes_again_is_a_list() -> None:
    root = tree.parse("<T><A>1</A><A>2</A><A>3</A></T>")
    assert tree.plain(root) == {"A": ["1", "2", "3"]}


def test_numbers_fall_back_when_there_is_none() -> None:
    root = tree.parse("<T><A>1.0</A><B>x</B></T>")
    assert (tree.number(root, "A"), tree.number(root, "B", 7), tree.number(root, "C")) == (1, 7, 0)


def test_templates_are_written_in_order_with_quotes_escaped() -> None:
    root = tree.parse('<T><Z>say "hi"</Z><NIC><IP>1.2.3.4</IP><MAC>m</MAC></NIC></T>')
    assert tree.template_text(root) == 'NIC=[\n  IP="1.2.3.4",\n  MAC="m" ]\nZ="say \\"hi\\""'
