"""What is asked of Linear; tests hold each document against Linear's published schema."""

ISSUE = """
  id identifier title url priority priorityLabel dueDate createdAt updatedAt
  state { name type } team { key } assignee { name email } project { name }
  labels(first: 20) { nodes { name } }
"""
COMMENT = "id body url createdAt user { name }"
PAGE = "pageInfo { hasNextPage endCursor }"

VIEWER = "query Viewer { viewer { id name email } organization { id name urlKey } }"
TEAMS = f"""
query Teams($first: Int, $after: String) {{
  teams(first: $first, after: $after) {{
    nodes {{ id key name states(first: 30) {{ nodes {{ name type }} }} }} {PAGE}
  }}
}}"""
SEARCH = f"""
query Search($term: String!, $filter: IssueFilter, $first: Int, $after: String) {{
  searchIssues(term: $term, filter: $filter, first: $first, after: $after) {{ nodes {{ {ISSUE} }} {PAGE} }}
}}"""
ISSUES = f"""
query Issues($filter: IssueFilter, $first: Int, $after: String, $orderBy: PaginationOrderBy) {{
  issues(filter: $filter, first: $first, after: $after, orderBy: $orderBy) {{ nodes {{ {ISSUE} }} {PAGE} }}
}}"""
ONE_ISSUE = f"""
query Issue($id: String!) {{
  issue(id: $id) {{
    {ISSUE} description parent {{ identifier }} comments(first: 50) {{ nodes {{ {COMMENT} }} }}
  }}
}}"""
CREATED_ISSUE = f"query CreatedIssue($id: String!) {{ issue(id: $id) {{ {ISSUE} }} }}"
CREATED_COMMENT = f"""
query CreatedComment($issue: String!, $id: ID!) {{
  issue(id: $issue) {{ comments(filter: {{ id: {{ eq: $id }} }}) {{ nodes {{ {COMMENT} }} }} }}
}}"""
CREATE_ISSUE = f"""
mutation CreateIssue($input: IssueCreateInput!) {{
  issueCreate(input: $input) {{ success issue {{ {ISSUE} }} }}
}}"""
CREATE_COMMENT = f"""
mutation CreateComment($input: CommentCreateInput!) {{
  commentCreate(input: $input) {{ success comment {{ {COMMENT} }} }}
}}"""
TEAM_BY_KEY = """
query TeamByKey($key: String!) {
  teams(filter: { key: { eqIgnoreCase: $key } }, first: 1) { nodes { id } }
}"""
STATE_BY_NAME = """
query StateByName($team: ID!, $name: String!) {
  workflowStates(
    filter: { team: { id: { eq: $team } }, name: { eqIgnoreCase: $name } }, first: 1
  ) { nodes { id } }
}"""
USER_BY_EMAIL = """
query UserByEmail($email: String!) {
  users(filter: { email: { eqIgnoreCase: $email } }, first: 1) { nodes { id } }
}"""
LABELS_BY_NAME = """
query LabelsByName($team: ID!, $names: [String!]!) {
  issueLabels(
    filter: { name: { in: $names }, or: [{ team: { id: { eq: $team } } }, { team: { null: true } }] }
    first: 100
  ) { nodes { id name } }
}"""
ONE_ISSUES_COMMENTS = f"""
query Comments($issue: String!, $first: Int, $after: String) {{
  issue(id: $issue) {{ comments(first: $first, after: $after) {{ nodes {{ {COMMENT} }} {PAGE} }} }}
}}"""
PROJECTS = f"""
query Projects($filter: ProjectFilter, $first: Int, $after: String) {{
  projects(filter: $filter, first: $first, after: $after) {{
    nodes {{
      id name url startDate targetDate
      status {{ name type }} lead {{ name email }} teams(first: 20) {{ nodes {{ key }} }}
    }} {PAGE}
  }}
}}"""
STATES = f"""
query States($filter: WorkflowStateFilter, $first: Int, $after: String) {{
  workflowStates(filter: $filter, first: $first, after: $after) {{
    nodes {{ id name type team {{ key }} }} {PAGE}
  }}
}}"""
LABELS = f"""
query Labels($filter: IssueLabelFilter, $first: Int, $after: String) {{
  issueLabels(filter: $filter, first: $first, after: $after) {{ nodes {{ id name team {{ key }} }} {PAGE} }}
}}"""
USERS = f"""
query Users($filter: UserFilter, $first: Int, $after: String) {{
  users(filter: $filter, first: $first, after: $after) {{ nodes {{ id name email active app }} {PAGE} }}
}}"""
UPDATE_ISSUE = f"""
mutation UpdateIssue($id: String!, $input: IssueUpdateInput!) {{
  issueUpdate(id: $id, input: $input) {{ success issue {{ {ISSUE} }} }}
}}"""
TEAM_OF_ISSUE = "query TeamOfIssue($id: String!) { issue(id: $id) { id team { id } } }"
PROJECT_BY_NAME = """
query ProjectByName($name: String!) {
  projects(filter: { name: { eqIgnoreCase: $name } }, first: 1) { nodes { id } }
}"""
CHANGED_ISSUES = f"""
query ChangedIssues($filter: IssueFilter, $first: Int, $after: String, $includeArchived: Boolean) {{
  issues(
    filter: $filter, first: $first, after: $after, orderBy: updatedAt, includeArchived: $includeArchived
  ) {{ nodes {{ {ISSUE} description archivedAt trashed }} {PAGE} }}
}}"""
CREATE_WEBHOOK = """
mutation CreateWebhook($input: WebhookCreateInput!) {
  webhookCreate(input: $input) { success webhook { id enabled } }
}"""
UPDATE_WEBHOOK = """
mutation UpdateWebhook($id: String!, $input: WebhookUpdateInput!) {
  webhookUpdate(id: $id, input: $input) { success webhook { id enabled } }
}"""
DELETE_WEBHOOK = "mutation DeleteWebhook($id: String!) { webhookDelete(id: $id) { success } }"
